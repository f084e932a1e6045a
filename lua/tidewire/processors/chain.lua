--- chain: several processors as one, `chain(drop_unknown, rename_event { play = "video.play" })`.
--
-- Each step gets what the one before made of the event. The chain fails as a whole, so it
-- takes over the strictest `on_error` of its members: a redactor inside still fails closed.

local tw = require "tidewire"
local core = require "tidewire.core"
local declare = require "tidewire.declare"
local flow = require "tidewire.processors.flow"
local options = require "tidewire.processors.options"
local tree = require "tidewire.router"

--- Runs the steps from `at` on; gives what a processor returns.
local function run(steps, at, event)
  local replaced = nil
  for i = at, #steps do
    local result = steps[i](event)
    if result == false then
      return false
    elseif flow.is_list(result) then
      local all = {}
      for _, piece in ipairs(flow.pieces_of(result)) do
        flow.append(all, flow.contain_drop(run, steps, i + 1, piece), piece)
      end
      return tw.split(table.unpack(all))
    elseif result ~= nil then
      event = flow.view_of(result)
      replaced = event
    end
  end
  return replaced
end

return core.entry(function(...)
  local steps, count = { ... }, select("#", ...)
  if declare.is_loader_data(steps, count) then
    steps[count], count = nil, count - 1
  end
  if #steps == 0 then
    core.misuse "chain: needs at least one processor"
  end
  local on_error, members = "pass", { table.unpack(steps, 1, count) }
  for i = 1, count do
    local problem = flow.processor_problem(steps[i])
    if problem then
      core.misuse(("chain: argument %d %s"):format(i, problem))
    end
    on_error = flow.stricter(on_error, flow.on_error_of(steps[i]))
    steps[i] = flow.function_of(steps[i])
  end
  local function attach(home)
    for _, member in ipairs(members) do
      tree.attach(member, home)
    end
  end
  return options.processor("chain", function(event)
    return run(steps, 1, event)
  end, nil, on_error, attach)
end)
