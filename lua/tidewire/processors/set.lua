--- set: gives fields a value, or what a function makes of the event.

local tw = require "tidewire"
local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

--- A value that no event can hold is found when the processor is made, not at the first event.
-- The position that the message begins with is raised anew by the options' checks.
local function value_problem(text, value)
  if type(value) == "function" then
    return nil
  end
  local ok, message = pcall(tw.encode, value)
  if not ok then
    return ("path '%s': %s"):format(text, (message:gsub("^[^\n]-:%d+: ", "", 1)))
  end
end

local function run(steps, event)
  for i = 1, #steps do
    local step = steps[i]
    local value = step.value
    if step.compute then
      value = step.compute(event)
    end
    if value ~= nil then
      step.path:set(event, value)
    end
  end
end

return options.fields("set", function(fields)
  local steps = {}
  for i, field in ipairs(fields) do
    local text, value = field[1], field[2]
    local path, message = paths.compile_single(text)
    local problem = message or value_problem(text, value)
    if problem then
      return nil, problem
    end
    local key = type(value) == "function" and "compute" or "value"
    steps[i] = { path = path, [key] = value }
  end
  return options.processor("set", function(event)
    run(steps, event)
  end)
end)
