-- expect: ok
local tw = require "tidewire"
return function(event)
  for i = 1, 10000 do
    tw.set_priority(event, i % 2 == 0 and "high" or "low")
  end
  local own = tw.event(event)
  tw.set_priority(own, "low")
  assert(tw.priority(event) == "high" and tw.priority(own) == "low")
end
