-- expect: the script and the events that it keeps take more than
local tw = require "tidewire"
return function()
  local text, kept = '{"s":"' .. ("x"):rep(100000) .. '"}', {}
  for i = 1, math.huge do
    kept[i] = tw.event(text)
  end
end
