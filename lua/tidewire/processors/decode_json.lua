--- decode_json: a string that holds JSON text becomes its value, exactly.

local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

return options.constructor("decode_json", options.common({ keep_invalid = "boolean" }), function(given, texts)
  local compiled, message = paths.compile_all(texts)
  if not compiled then
    return nil, message
  end
  local strict = given.keep_invalid == false
  return options.processor("decode_json", function(event)
    for i = 1, #compiled do
      local _, invalid, reason = compiled[i]:decode(event)
      if strict and invalid > 0 then
        error(("decode_json: %s: %s"):format(texts[i], reason), 0)
      end
    end
  end, given)
end, "path")
