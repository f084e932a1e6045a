--- timers.lua: `every` and `after`, on the clock of the state.
--
-- A binary heap in order of due time, then of making; each timer knows its place in it, so
-- that a cancelled one goes at once and cancelled timers never pile up. Times are whole
-- microseconds of the steady clock. C calls `pop` until nothing is due (time.c), and is told
-- with `set_due` when the next one is.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

local M = {}

local MAX_TIMERS = 100000
local MAX_BREAKERS = 1000
local SHORTEST, LONGEST = 0.001, 1e9

local heap, count = {}, 0
local serial, newest = 0, 0 -- timers made; the newest that the tick at hand may run
local named = {}
local breakers, breaker_count = {}, 0 -- by name, or place of the function

-- ------------------------------------------------------------------ heap

local function before(a, b)
  return a.due < b.due or (a.due == b.due and a.serial < b.serial)
end

local function put(timer, place)
  heap[place] = timer
  timer.place = place
end

local function rise(timer, place)
  while place > 1 and before(timer, heap[place // 2]) do
    put(heap[place // 2], place)
    place = place // 2
  end
  put(timer, place)
end

local function sink(timer, place)
  while true do
    local child = 2 * place
    if child < count and before(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if child > count or not before(heap[child], timer) then
      return put(timer, place)
    end
    put(heap[child], place)
    place = child
  end
end

local function tell_due()
  core.set_due(heap[1] and heap[1].due)
end

--- What may want memory comes first, so that its failure changes nothing: room in the heap,
-- and, by a call that changes nothing, in the stack for calls as deep as those that follow.
local function insert(timer)
  tell_due()
  heap[count + 1] = timer
  count = count + 1
  rise(timer, count)
  tell_due()
end

local function settle(timer, due)
  tell_due()
  timer.due = due
  rise(timer, timer.place)
  sink(timer, timer.place)
  tell_due()
end

local function remove(timer)
  tell_due()
  local place, last = timer.place, heap[count]
  heap[count], timer.place = nil, false
  count = count - 1
  if last ~= timer then
    rise(last, place)
    sink(last, last.place)
  end
  tell_due()
end

-- ---------------------------------------------------------------- timers

local methods = {}
local class = { __name = "tidewire.timer", __metatable = false, __index = methods }

--- Ends a timer; the second time does nothing.
function methods:cancel()
  if self.place then
    remove(self)
  end
  if self.name and named[self.name] == self then
    named[self.name] = nil
  end
end

local function check(where, seconds, f, name)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= LONGEST) then
    declare.misuse("%s: 'seconds' must be a number from 0 to 1e9, not %s", where, tostring(seconds))
  elseif not core.callable(f) then
    declare.misuse("%s: 'f' must be a function, not %s", where, declare.describe(f))
  elseif count >= MAX_TIMERS then
    declare.misuse("%s: there are %d timers already; cancel those that are not needed", where, count)
  end
  declare.optional(where .. ": name", name, "string")
  if named[name or false] and named[name].place then
    declare.misuse("%s: there is a timer '%s' already", where, name)
  end
end

local function start(where, seconds, f, name, repeats)
  check(where, seconds, f, name)
  serial = serial + 1
  local wait = math.floor(math.max(seconds, SHORTEST) * 1e6 + 0.5)
  local timer = setmetatable({
    f = f,
    name = name,
    serial = serial,
    due = core.steady() + wait,
    every = repeats and wait,
    place = false, -- in the heap
  }, class)
  if name then
    named[name] = timer
  end
  insert(timer)
  return timer
end

--- Calls `f` every so many seconds, between events. What the clock has leapt over is not
-- made up for. A timer with a name keeps its rhythm over a reload.
M.every = core.entry(function(seconds, f, name)
  return start("every", seconds, f, name, true)
end)

--- Calls `f` once, after so many seconds.
M.after = core.entry(function(seconds, f)
  return start("after", seconds, f, nil, false)
end)

--- What keeps the timers of a name from running when they are stopped again and again. Past
-- so many names, all that come have one.
local function breaker_of(name)
  local key = (breakers[name] or breaker_count < MAX_BREAKERS) and name or "timer"
  local breaker = breakers[key]
  if not breaker then
    breaker = core.breaker()
    breakers[key], breaker_count = breaker, breaker_count + 1
  end
  return breaker
end

--- The first timer that is due and was there when the tick began.
local function first_due(now)
  local timer = heap[1]
  return timer and timer.due <= now and timer.serial <= newest and timer or nil
end

--- The next timer that is due: its function, its name, its breaker. One that runs once and has
-- to rest is put off.
function M.pop(now, first)
  if first then
    newest = serial
  end
  for timer in first_due, now do
    local name = timer.name or core.where(timer.f) or "timer"
    local breaker = breaker_of(name) -- what may want memory, while the timer is still there
    local rest = core.rest(breaker)
    if timer.every then
      settle(timer, timer.due + ((now - timer.due) // timer.every + 1) * timer.every)
      return timer.f, name, breaker
    elseif rest == 0 then
      remove(timer)
      return timer.f, name, breaker
    end
    settle(timer, now + rest)
  end
end

--- The clock was changed by so many microseconds: nobody waits longer or shorter for it.
function M.shift(by)
  for i = 1, count do
    heap[i].due = heap[i].due + by
  end
  tell_due()
end

--- When the next timer is due; nil without one.
function M.next_due()
  return heap[1] and heap[1].due
end

--- How many timers there are.
function M.size()
  return count
end

--- When each timer with a name is due, for the next generation.
function M.rhythm()
  local due = {}
  for name, timer in pairs(named) do
    due[name] = timer.due
  end
  return due
end

--- Takes over the rhythm of timers with the same name; never waits longer than their period.
function M.take_rhythm(due)
  local now = core.steady()
  for name, timer in pairs(named) do
    local at = math.tointeger(due[name])
    if at and timer.place then
      settle(timer, math.max(now, math.min(at, now + timer.every)))
    end
  end
end

return M
