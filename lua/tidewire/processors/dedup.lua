--- dedup: drops what has been seen within a time, by the event's id or another key.

local core = require "tidewire.core"
local keyed = require "tidewire.processors.keyed"
local options = require "tidewire.processors.options"
local recent = require "tidewire.processors.recent"
local tw = require "tidewire"

--- The event's id is not always a field of it.
local function by_id(event)
  local id = event.id
  if id == nil or id == tw.null then
    return "", "null"
  end
  return keyed.short(type(id) == "string" and "s" .. id or "n" .. tw.encode(id)), "id"
end

local function build(given)
  local problem = keyed.positive_problem(given, { "within" }) or keyed.count_problem(given, { "max" })
  local key_of, message = by_id, nil
  if given.by and given.by ~= "id" then
    key_of, message = keyed.key_of(given.by)
  end
  if problem or not key_of then
    return nil, problem or message
  end
  local within, max = keyed.microseconds(given.within or 60), given.max or 100000
  local store = keyed.state(given.state)

  return options.processor("dedup", function(event)
    local key, kind = key_of(event)
    if kind == "null" then
      return nil
    end
    recent.store(store)
    local now = core.steady()
    local seen = recent.get(store, key)
    if seen and now >= seen and now - seen < within then
      return false
    end
    recent.put(store, key, now, now, max, within)
  end, given)
end

local declared = options.common { by = "string", within = "number", max = "number", state = "string" }

return options.constructor("dedup", declared, build)
