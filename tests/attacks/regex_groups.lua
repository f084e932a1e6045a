-- expect: regular expression is too large
local tw = require "tidewire"

return function(_)
  tw.regex(("()"):rep(10000))
end
