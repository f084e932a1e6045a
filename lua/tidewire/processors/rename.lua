--- rename: moves values to other fields, exactly: a number keeps its text, a container its edits.

local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

--- A field that is both a source and a target would depend on the order of the moves.
local function chained(fields)
  local sources = {}
  for _, field in ipairs(fields) do
    sources[field[1]] = true
  end
  for _, field in ipairs(fields) do
    if sources[field[2]] then
      return ("'%s' is renamed and also a new name; use two renames, one after the other"):format(field[2])
    end
  end
end

return options.fields("rename", function(fields)
  local moves = {}
  paths.sort_moves(fields)
  for i, field in ipairs(fields) do
    local from, to = field[1], field[2]
    if type(to) ~= "string" then
      return nil, ("path '%s': the new path must be a string, not a %s"):format(from, type(to))
    end
    local source, message = paths.compile_single(from)
    local target, target_message = paths.compile_single(to)
    if not source or not target then
      return nil, message or target_message
    end
    moves[i] = { source, target }
  end
  local problem = chained(fields)
  if problem then
    return nil, problem
  end
  return options.processor("rename", function(event)
    for i = 1, #moves do
      local moved, message = moves[i][1]:move(event, moves[i][2])
      if moved == nil then
        error("rename: " .. message, 0)
      end
    end
  end)
end)
