-- expect: any
local tw = require "tidewire"
return function()
  local s, kept = ("x"):rep(2000), {}
  for i = 1, math.huge do
    kept[i] = tw.event "{}"
    for _ = 1, 100 do
      kept[i].s = s
    end
  end
end
