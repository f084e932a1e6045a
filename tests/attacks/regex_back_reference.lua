-- expect: any
local tw = require "tidewire"

return function(_)
  return tw.regex("(a*)x?\\1y?\\1[bc]"):match(("a"):rep(200000))
end
