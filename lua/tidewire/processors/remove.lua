--- remove: takes fields out of the event.

local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

return options.constructor("remove", options.common({}), function(given, texts)
  local compiled, message = paths.compile_all(texts)
  if not compiled then
    return nil, message
  end
  return options.processor("remove", paths.remover(texts, compiled), given)
end, "path")
