-- expect: the edits of this event take more than
local path = require("tidewire").path "list[*]"
return function(event)
  local list = {}
  for i = 1, 10000 do
    list[i] = 0
  end
  event.list = list
  path:rewrite(event, '"' .. ("x"):rep(100000) .. '"')
end
