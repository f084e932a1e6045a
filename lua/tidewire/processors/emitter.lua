--- emitter.lua: how a processor emits events of its own, and where it is.
--
-- What it emits enters the tree at the top, like any other event, and so comes by the
-- processor again, which lets it pass. A call that a limit ends comes back to nothing here, so
-- what is remembered is in which call an event was sent.

local core = require "tidewire.core"
local options = require "tidewire.processors.options"
local tree = require "tidewire.router"
local tw = require "tidewire"

local M = {}

--- Raises what a function returns as a failure.
local function must(ok, message)
  if not ok then
    error(message, 0)
  end
  return ok
end

--- An emitter for a processor of these options. `finish()` is called before the tree is closed,
-- to let go what is held; not when a reload closes it and a named state carries that over.
function M.new(given, finish)
  local self = {}
  local home
  local passing -- the call in which an event of its own goes through the tree

  local function before_close(reason)
    if reason == "end" or not given.state then
      finish()
    end
  end

  local function attach(to)
    if home ~= to then
      home = to
      tree.before_close(to, before_close)
    end
  end

  local function enter(json)
    local event = must(tw.event(json))
    if home then
      must(tree.top_of(home):send(event))
    else
      must(tw.emit(event.name, event.data)) -- the processor is called by a script's own function
    end
  end

  --- Sends an event, as JSON text; raises what goes wrong.
  function self.send(json)
    local outer = passing
    passing = core.call_number()
    local ok, message = pcall(enter, json)
    passing = outer
    if not ok then
      error(message, 0)
    end
  end

  --- The same for an event of now with this name, and these data as JSON text.
  function self.emit(name, data)
    local head = ('{"name":%s,"timestamp":"%s","context":{},"data":'):format(tw.encode(name), tw.format_time())
    self.send(head .. data .. "}")
  end

  --- The same for each of a list of data: one that fails keeps back none of the others. Raises
  -- the first failure.
  function self.emit_all(name, list)
    local first
    for _, data in ipairs(list) do
      local ok, message = pcall(self.emit, name, data)
      first = first or (not ok and message)
    end
    if first then
      error(first, 0)
    end
  end

  --- The processor, whose function does not see what is sent here.
  function self.processor(name, f)
    return options.processor(name, function(event)
      if passing ~= core.call_number() then
        return f(event)
      end
    end, given, nil, attach)
  end

  return self
end

return M
