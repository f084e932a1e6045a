-- expect: needs more than 2048 KiB of memory
local tw = require "tidewire"

return function(_)
  return tw.regex("(?:a|b)*$"):match(("ab"):rep(1000000))
end
