--- host: a processor of the program that runs the script, by its name.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

return core.entry(function(name)
  declare.named("processors.host", name)
  return core.host_processor(name)
end)
