-- expect: any
local tw = require "tidewire"
return function()
  local text, kept = '{"s":"' .. ("x"):rep(100000) .. '"}', {}
  for i = 1, math.huge do
    local _, event = pcall(tw.event, text)
    kept[i] = event
  end
end
