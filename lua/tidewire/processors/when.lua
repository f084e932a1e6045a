--- when: a processor for some events only, `when(is_video, decode_json { "event" })`.

local core = require "tidewire.core"
local flow = require "tidewire.processors.flow"
local options = require "tidewire.processors.options"
local tree = require "tidewire.router"

return core.entry(function(predicate, processor)
  if type(predicate) ~= "function" then
    core.misuse(("when: 'predicate' must be a function, not a %s"):format(type(predicate)))
  end
  local problem = flow.processor_problem(processor)
  if problem then
    core.misuse("when: 'processor' " .. problem)
  end
  local f = flow.function_of(processor)
  local function attach(home)
    tree.attach(processor, home)
  end
  return options.processor("when", function(event)
    if predicate(event) then
      return f(event)
    end
  end, nil, flow.on_error_of(processor), attach)
end)
