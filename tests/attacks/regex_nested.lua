-- expect: gave up after 10000000 steps
-- slow: stopped after
local tw = require "tidewire"

return function(_)
  return tw.regex("(a+)+$"):match(("a"):rep(100) .. "b")
end
