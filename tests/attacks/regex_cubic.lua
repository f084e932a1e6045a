-- expect: gave up after
local tw = require "tidewire"

return function(_)
  return tw.regex("a*a*a*[bc]"):match(("a"):rep(20000))
end
