-- expect: recursion
local tw = require "tidewire"

return function(_)
  return tw.regex("(*NO_JIT)(?:|a(?R)|(?R)b)+[cd]"):match(("a"):rep(1000))
end
