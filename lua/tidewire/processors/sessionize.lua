--- sessionize: events of a key that follow each other closely belong to one session.
--
-- Each event gets the session's id, its own number in it, and the session's start. A session
-- ends when nothing has come for the gap: by the events' own time when the next one comes
-- later than that, and by the clock when no next one comes. Then `session.ended` is emitted.
--
-- The store: sessions[key] = { id, key = JSON, start, last (by the events' time), seen (by the
-- clock), events }, all in microseconds.

local core = require "tidewire.core"
local emitter = require "tidewire.processors.emitter"
local keyed = require "tidewire.processors.keyed"
local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"
local timers = require "tidewire.timers"
local tw = require "tidewire"

--- Takes a session out. @return the data of its event
local function take_out(state, key)
  local session = state.store.sessions[key]
  state.store.sessions[key] = nil
  state.store.count = state.store.count - 1
  local data = ('"id":"%s","start":"%s","end":"%s","events":%d}'):format(
    session.id,
    tw.format_time(session.start / 1e6),
    tw.format_time(session.last / 1e6),
    session.events
  )
  return '{"key":' .. session.key .. "," .. data
end

--- Ends the sessions that `is_over`, the one that was seen first at first.
local function end_all(state, is_over)
  local keys, sessions = {}, state.store.sessions
  for key, session in pairs(sessions) do
    if is_over(session) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    local x, y = sessions[a].seen, sessions[b].seen
    return x < y or (x == y and a < b)
  end)
  for i, key in ipairs(keys) do
    keys[i] = take_out(state, key)
  end
  state.out.emit_all(state.name, keys)
end

--- Makes room: the tenth that has been quiet for longest ends before its time.
local function make_room(state)
  local seen = {}
  for _, session in pairs(state.store.sessions) do
    seen[#seen + 1] = session.seen
  end
  table.sort(seen)
  local bound = seen[math.ceil(#seen / 10)]
  end_all(state, function(session)
    return session.seen <= bound
  end)
end

--- Whether nothing has come for the gap, by the clock.
local function is_over(state, session)
  local now = core.steady()
  return now - session.seen >= state.gap or now < session.seen
end

local start

--- When no event comes, the clock ends sessions. One timer serves all: it looks again when the
-- next one may be over, though not more often than it has to for a gap of this length.
local function watch(state)
  state.timer = nil
  end_all(state, function(session)
    return is_over(state, session)
  end)
  start(state)
end

function start(state)
  if state.timer or next(state.store.sessions) == nil then
    return
  end
  local oldest
  for _, session in pairs(state.store.sessions) do
    oldest = math.min(oldest or session.seen, session.seen)
  end
  local wait = math.max(oldest + state.gap - core.steady(), math.min(1000000, state.gap // 10))
  state.timer = timers.after(wait / 1e6, function()
    watch(state)
  end)
end

--- The session of a key, with the event at hand counted.
local function take(state, key, kind, text, at)
  local store = state.store
  local session = store.sessions[key]
  if session and (at - session.last > state.gap or is_over(state, session)) then
    state.out.emit(state.name, take_out(state, key))
    session = nil
  end
  if not session then
    if store.count >= state.max then
      make_room(state)
    end
    session = { id = tw.uuid7(), key = keyed.key_json(kind, text), start = at, last = at, events = 0 }
    store.sessions[key] = session
    store.count = store.count + 1
  end
  session.last, session.seen = math.max(session.last, at), core.steady()
  session.events = session.events + 1
  start(state)
  return session
end

local function fill(store)
  store.sessions, store.count = store.sessions or {}, store.count or 0
end

--- The event's own time, or that of the clock.
local function time_of(event)
  local seconds = tw.parse_time(event.timestamp)
  return seconds and math.floor(seconds * 1e6 + 0.5) or core.utc()
end

local function make(given)
  if not given.by then
    return nil, "option 'by' is missing"
  end
  local problem = keyed.positive_problem(given, { "gap" }) or keyed.count_problem(given, { "max_keys" })
  if problem then
    return nil, problem
  end
  local state = { gap = keyed.microseconds(given.gap or 1800), max = given.max_keys or 10000 }
  state.name = given.as or "session.ended"
  local message
  state.to, message = paths.compile_single(given.to or "context.session")
  if state.to then
    state.key_of, message = keyed.key_of(given.by)
  end
  if not state.key_of then
    return nil, message
  end
  return state
end

local function build(given)
  local state, message = make(given)
  if not state then
    return nil, message
  end
  state.store = keyed.state(given.state, function(store)
    fill(store)
    start(state)
  end)
  state.out = emitter.new(given, function()
    fill(state.store)
    end_all(state, function()
      return true
    end)
  end)
  return state.out.processor("sessionize", function(event)
    local key, kind, text = state.key_of(event)
    if kind == "null" then
      return nil
    end
    fill(state.store)
    local session = take(state, key, kind, text, time_of(event))
    local json = '{"id":"%s","number":%d,"start":"%s"}'
    state.to:set(event, tw.decode(json:format(session.id, session.events, tw.format_time(session.start / 1e6))))
  end)
end

local declared = options.common {
  by = "string",
  gap = "number",
  to = "string",
  as = "string",
  state = "string",
  max_keys = "number",
}

return options.constructor("sessionize", declared, build)
