--- allowlist: drops events whose name is not in the list. The work is done in C.

local core = require "tidewire.core"
local options = require "tidewire.processors.options"

return options.constructor("allowlist", {}, function(_, names)
  return core.new_processor("allowlist", { names = names })
end, "name")
