-- expect: any
local tw = require "tidewire"

-- A comparison that fails at its last byte, once for each place.
return function(_)
  local half = ("a"):rep(100000)
  return tw.regex("(?=(a+b))a*b(?:\\1|.)*+[xy]"):match(half .. "b" .. half .. "c")
end
