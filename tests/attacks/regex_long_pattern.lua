-- expect: 32768 is the limit
local tw = require "tidewire"

return function(_)
  tw.regex(("a"):rep(1000000))
end
