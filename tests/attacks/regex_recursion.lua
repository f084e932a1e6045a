-- expect: needs more than
local tw = require "tidewire"

return function(_)
  return tw.regex("(a(?1)?b?)+"):match(("a"):rep(1000000))
end
