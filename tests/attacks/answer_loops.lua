-- expect: stopped after
local tw = require "tidewire"
return function()
  while true do
    pcall(error, tw.permanent "again")
  end
end
