-- expect: the script and the events that it keeps take more than
-- slow: stopped after
local tw = require "tidewire"
return function()
  local text, kept = "[" .. ("0,"):rep(50000) .. "0]", {}
  for i = 1, math.huge do
    kept[i] = tw.decode(text)
  end
end
