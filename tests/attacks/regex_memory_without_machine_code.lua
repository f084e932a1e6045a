-- expect: needs more than 8192 KiB of memory
local tw = require "tidewire"

return function(_)
  return tw.regex("(*NO_JIT)(?:a|b)*$"):match(("ab"):rep(1000000))
end
