-- expect: the callback's own error
local tw = require "tidewire"

return function(_)
  tw.regex("a"):gsub("aaa", function()
    error "the callback's own error"
  end)
end
