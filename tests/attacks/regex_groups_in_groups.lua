-- expect: parentheses are too deeply nested
local tw = require "tidewire"

return function(_)
  tw.regex(("("):rep(10000) .. (")"):rep(10000))
end
