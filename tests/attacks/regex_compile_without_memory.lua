-- expect: any
local tw = require "tidewire"

-- Out of memory again and again, each time with a full collection.
return function(_)
  KEPT = {}
  while true do
    pcall(function()
      KEPT[#KEPT + 1] = tw.regex(("(?:\\w+|\\d*)"):rep(1000), "u")
    end)
  end
end
