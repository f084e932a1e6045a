-- expect: any
local tw = require "tidewire"

return function(_)
  KEPT = {}
  for i = 1, 1e6 do
    KEPT[i] = tw.regex(("(?:\\w+|\\d*)"):rep(200) .. i, "u")
  end
end
