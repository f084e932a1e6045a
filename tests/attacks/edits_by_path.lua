-- expect: the edits of this event take more than
local path = require("tidewire").path "a.b.c"
return function(event)
  local s = ("x"):rep(2000)
  for _ = 1, math.huge do
    path:set(event, s)
  end
end
