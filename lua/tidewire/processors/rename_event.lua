--- rename_event: gives events other names.

local options = require "tidewire.processors.options"

return options.fields("rename_event", function(fields)
  local names = {}
  for _, field in ipairs(fields) do
    local from, to = field[1], field[2]
    if type(to) ~= "string" or to == "" then
      return nil, ("the new name of '%s' must be a string that is not empty"):format(from)
    end
    names[from] = to
  end
  return options.processor("rename_event", function(event)
    local name = event.name
    -- A name can be any JSON value in an event from outside; null and views are no keys here.
    local new = type(name) == "string" and names[name]
    if new then
      event.name = new
    end
  end)
end)
