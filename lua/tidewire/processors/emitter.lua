--- emitter.lua: how a processor emits events of its own, and where it is.
--
-- What it emits enters the tree at the top, like any other event, and so comes by the
-- processor again: `passing` is true meanwhile, and the processor lets it pass.

local tw = require "tidewire"
local tree = require "tidewire.router"

local M = {}

--- Raises what a function returns as a failure.
local function must(ok, message)
  if not ok then
    error(message, 0)
  end
  return ok
end

--- An emitter. `finish(reason)` is called before the tree is closed.
function M.new(finish)
  local self = { passing = false }
  local home

  function self.attach(to)
    if home ~= to then
      home = to
      tree.before_close(to, finish)
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
    local outer = self.passing
    self.passing = true
    local ok, message = pcall(enter, json)
    self.passing = outer
    if not ok then
      error(message, 0)
    end
  end

  --- The same for an event of now with this name, and these data as JSON text.
  function self.emit(name, data)
    local head = ('{"name":%s,"timestamp":"%s","data":'):format(tw.encode(name), tw.format_time())
    self.send(head .. data .. ',"context":{}}')
  end

  return self
end

return M
