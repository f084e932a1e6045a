-- expect: ack is for programs
local tw = require "tidewire"
return function()
  tw.emit("plain", {}, { ack = print })
end
