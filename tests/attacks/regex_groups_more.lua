-- expect: 127 is the limit
local tw = require "tidewire"

return function(_)
  tw.regex(("()"):rep(128))
end
