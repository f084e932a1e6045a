-- expect: stopped after
local tw = require "tidewire"

return function(_)
  tw.regex("a"):gsub("a", function()
    while true do end
  end)
end
