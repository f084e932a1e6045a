-- expect: gave up after
local tw = require "tidewire"

return function(_)
  return tw.regex("a*+[bc]"):match(("a"):rep(1000000))
end
