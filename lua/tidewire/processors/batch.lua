--- batch: many events into one, whose data hold them exactly.

local emitter = require "tidewire.processors.emitter"
local keyed = require "tidewire.processors.keyed"
local options = require "tidewire.processors.options"
local timers = require "tidewire.timers"

local MAX_BYTES = 1000000 -- an event has at most 1 MiB

local function build(given)
  local problem = keyed.positive_problem(given, { "seconds" }) or keyed.count_problem(given, { "events", "bytes" })
  if not problem and given.bytes and given.bytes > MAX_BYTES then
    problem = ("option 'bytes' must be at most %d, not %d"):format(MAX_BYTES, given.bytes)
  end
  if problem then
    return nil, problem
  end
  local most, bytes, seconds = given.events or 100, given.bytes or 512 * 1024, given.seconds or 5
  local name = given.as or "batch"
  local store, timer, out

  local function reset()
    store.events, store.bytes = {}, 0
  end

  --- What does not fit into one event, such as one that is nested as deeply as may be, goes on
  -- as it was; the one at hand, if it is the last, by the `on_error` of a processor that fails.
  local function emit(events, at_hand)
    local data = ('{"count":%d,"events":['):format(#events) .. table.concat(events, ",") .. "]}"
    local ok, message = pcall(out.emit, name, data)
    if not ok then
      for i = 1, #events - (at_hand and 1 or 0) do
        out.send(events[i])
      end
      error("not put together, but passed on one by one: " .. message, 0)
    end
  end

  local function flush(at_hand)
    if timer then
      timer:cancel()
      timer = nil
    end
    if store.events and store.events[1] then
      local events = store.events
      reset()
      emit(events, at_hand)
    end
  end

  local function wait()
    if timer == nil then
      timer = timers.after(seconds, function()
        flush(false)
      end)
    end
  end

  store = keyed.state(given.state, function()
    if store.events and store.events[1] then
      wait()
    end
  end)
  out = emitter.new(given, function()
    flush(false)
  end)

  local function add(event)
    local text = tostring(event)
    local size = #text + 1 -- with the comma behind it
    if #text > bytes then
      return nil
    elseif store.events == nil then
      reset()
    elseif store.bytes + size > bytes then
      flush(false)
    end
    wait() -- first: when there is no timer for it, the event goes on, and is not kept besides
    table.insert(store.events, text)
    store.bytes = store.bytes + size
    if #store.events >= most then
      flush(true)
    end
    return false
  end

  return out.processor("batch", add)
end

local declared = options.common {
  events = "number",
  seconds = "number",
  bytes = "number",
  as = "string",
  state = "string",
}

return options.constructor("batch", declared, build)
