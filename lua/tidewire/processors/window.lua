--- window: tumbling windows: what happened in each span of time, for each key.
--
-- Time is the events' own. The *watermark* is the latest time that was seen; a window is
-- closed, and its event emitted, when the watermark is `lateness` past its end. An event for
-- a window that is closed is late. When nothing has come for as long as a window and its
-- lateness, those that are open are closed: the stream has ended or rests.
--
-- The store: open[number] = { groups[key] = { key = JSON, slots = { … } } }; a window's number
-- is its start divided by its length, as text. All of it is JSON-able.

local core = require "tidewire.core"
local aggregate = require "tidewire.processors.aggregate"
local emitter = require "tidewire.processors.emitter"
local keyed = require "tidewire.processors.keyed"
local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"
local sorted_keys = require("tidewire.declare").sorted_keys
local timers = require "tidewire.timers"
local tw = require "tidewire"

local FAR = 1 << 62
local MAX_OPEN = 1000 -- windows
local EARLIEST, LATEST = -62135596800, 253402300799 -- the years 1 to 9999

--- A function `event -> microseconds`: its time, or nil when it has none.
local function time_of(at)
  if at == "arrival" then
    return core.utc
  end
  local path, message = paths.compile_single(at)
  if not path then
    return nil, message
  end
  return function(event)
    local text, kind = path:text(event)
    local seconds = kind == "string" and tw.parse_time(text) or kind == "number" and tonumber(text)
    return seconds and seconds >= EARLIEST and seconds <= LATEST and math.floor(seconds * 1e6 + 0.5) or nil
  end
end

--- The JSON of what a window says of one key.
local function data_of(window, number, group, fields)
  local parts = {
    ('"from":"%s"'):format(tw.format_time(number * window.every / 1e6)),
    ('"to":"%s"'):format(tw.format_time((number + 1) * window.every / 1e6)),
  }
  if window.by then
    table.insert(parts, 1, '"key":' .. group.key)
  end
  if group.others then
    parts[#parts + 1] = '"others":true'
  end
  for i, field in ipairs(fields) do
    local result = field.result(group.slots[i])
    parts[#parts + 1] = tw.encode(field.name) .. ":" .. (result == nil and "null" or tw.encode(result))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The group of a key in a window. Keys beyond the bound share one.
local function group_of(window, open, key, kind, text)
  local group = open.groups[key]
  if group then
    return group
  elseif window.store.count >= window.max_keys then
    open.others = open.others or { key = "null", others = true, slots = {} }
    group = open.others
  else
    group = { key = keyed.key_json(kind, text), slots = {} }
    open.groups[key] = group
    window.store.count = window.store.count + 1
  end
  for i = 1, #window.fields do
    group.slots[i] = group.slots[i] or {}
  end
  return group
end

--- Takes a window out. @return the data of its events
local function close_one(window, number)
  local name = tostring(number)
  local open = window.store.open[name]
  window.store.open[name] = nil
  window.store.windows = window.store.windows - 1
  local texts = {}
  for i, key in ipairs(sorted_keys(open.groups)) do
    texts[i] = data_of(window, number, open.groups[key], window.fields)
  end
  window.store.count = window.store.count - #texts
  if open.others then
    texts[#texts + 1] = data_of(window, number, open.others, window.fields)
  end
  return texts
end

local function tell_late(window)
  local late = window.store.late
  if late > 0 then
    window.store.late = 0
    window.out.emit(window.name .. ".late", ('{"count":%d}'):format(late))
  end
end

--- The first window that lies in the future. When nothing comes, those are closed, too, but
-- what comes for them in their time is not late.
local function future(window)
  return (core.utc() + window.patience) // window.every + 1
end

--- Closes every window before number `first`, or all of them without, the oldest first. What
-- comes for them is late.
local function close_before(window, first)
  local store, numbers, texts = window.store, {}, {}
  for name in pairs(store.open) do
    local number = math.tointeger(tonumber(name))
    if first == nil or number < first then
      numbers[#numbers + 1] = number
    end
  end
  table.sort(numbers)
  store.first = math.max(store.first, first or store.first)
  for _, number in ipairs(numbers) do
    store.first = number < future(window) and math.max(store.first, number + 1) or store.first
    local more = close_one(window, number)
    table.move(more, 1, #more, #texts + 1, texts)
  end
  window.out.emit_all(window.name, texts)
  tell_late(window)
end

local function stop(window)
  if window.timer then
    window.timer:cancel()
    window.timer = nil
  end
end

local function watch(window)
  local idle = core.steady() - window.store.last
  if window.by_arrival then
    close_before(window, (core.utc() - window.lateness) // window.every)
  elseif idle >= window.patience or idle < 0 then
    close_before(window)
  end
  if next(window.store.open) == nil then
    stop(window)
  end
end

--- The timer runs only while a window is open.
local function start(window)
  if window.timer == nil and next(window.store.open) then
    window.timer = timers.every(math.min(1, window.patience / 1e7), function()
      watch(window)
    end)
  end
end

--- The open window of a number; nil when it is closed, or when too many are open.
local function window_of(window, number)
  local store, name = window.store, tostring(number)
  if store.open[name] or number < store.first then
    return store.open[name]
  elseif store.windows >= MAX_OPEN then
    return nil
  end
  store.windows = store.windows + 1
  store.open[name] = { groups = {} }
  return store.open[name]
end

--- A time that lies in the future does not move the watermark: one wrong clock would make the
-- events of all others late.
local function move_on(window, at)
  if at > window.store.mark and at <= core.utc() + window.patience then
    window.store.mark = at
    local first = (at - window.lateness) // window.every
    if first > window.store.first then
      close_before(window, first)
    end
  end
end

local function add(window, event, at)
  local store = window.store
  local open = window_of(window, at // window.every)
  if not open then
    store.late = store.late + 1
    return
  end
  local group = group_of(window, open, window.key_of(event))
  for i, field in ipairs(window.fields) do
    field.take(group.slots[i], event)
  end
  store.last = core.steady()
  start(window)
  move_on(window, at)
end

--- What an empty store lacks. One that was made with other options says nothing of these.
local function fill(window)
  local store = window.store
  store.made = store.made or window.made
  if store.made ~= window.made then
    local what = "window: state '%s' was made with other options ('every', 'by' or 'compute'); choose a new name"
    error(what:format(window.state), 0)
  end
  store.open, store.windows = store.open or {}, store.windows or 0
  store.count, store.late, store.last = store.count or 0, store.late or 0, store.last or 0
  store.first, store.mark = store.first or -FAR, store.mark or -FAR
end

local function problem_of(given)
  if not given.every then
    return "option 'every' is missing"
  elseif given.lateness and not (given.lateness >= 0 and given.lateness < 1e12) then
    return ("option 'lateness' must be from 0, not %s"):format(given.lateness)
  end
  return keyed.positive_problem(given, { "every" }) or keyed.count_problem(given, { "max_keys", "max_distinct" })
end

local function make(given)
  local window = {
    every = keyed.microseconds(given.every),
    lateness = math.floor((given.lateness or 0) * 1e6 + 0.5),
    by = given.by,
    patience = 0, -- how long nothing may come before the open windows are closed
    by_arrival = given.at == "arrival",
    max_keys = given.max_keys or 10000,
    name = given.as or "window",
    state = given.state,
  }
  window.patience = window.every + window.lateness
  local message
  window.key_of, message = keyed.key_of(given.by)
  if window.key_of then
    window.time_of, message = time_of(given.at or "timestamp")
  end
  if window.time_of then
    local compute = given.compute or { count = true }
    window.fields, message = aggregate.fields(compute, given.max_distinct or 1000, sorted_keys)
  end
  if not window.fields then
    return nil, message
  end
  local whats = {}
  for i, field in ipairs(window.fields) do
    whats[i] = field.what
  end
  window.made = ("%d %s %s"):format(window.every, window.by or "", table.concat(whats, " "))
  return window
end

local function build(given)
  local problem = problem_of(given)
  if problem then
    return nil, problem
  end
  local window, message = make(given)
  if not window then
    return nil, message
  end
  window.store = keyed.state(given.state, function()
    fill(window)
    stop(window)
    start(window)
  end)
  window.out = emitter.new(given, function()
    fill(window)
    close_before(window)
    stop(window)
  end)
  local keep = given.keep ~= false
  return window.out.processor("window", function(event)
    fill(window)
    local at = window.time_of(event)
    if not at then
      return nil
    end
    add(window, event, at)
    if not keep then
      return false
    end
  end)
end

local declared = options.common {
  every = "number",
  by = "string",
  at = "string",
  lateness = "number",
  compute = "table",
  as = "string",
  keep = "boolean",
  state = "string",
  max_keys = "number",
  max_distinct = "number",
}

return options.constructor("window", declared, build)
