--- testing.lua: events in, events out, and a difference that can be read.
--
-- An event is compared place by place, whatever the order of its keys. An expectation given
-- as JSON text wants the numbers' exact text, one given as a table their value and type.

local tw = require "tidewire"
local core = require "tidewire.core"
local timers = require "tidewire.timers"

local M = {}

local function is_list(value)
  return type(value) == "table" and (#value > 0 or next(value) == nil)
end

local function view_of(event)
  local view, message = tw.event(event)
  if not view then
    error("not an event: " .. message, 0)
  end
  return view
end

--- `key` behind `path`, quoted where a path wants that.
local function step(path, key)
  if type(key) == "number" then
    return ("%s[%d]"):format(path, key - 1)
  elseif key:find "^[%w_$@-]+$" then
    return path == "" and key or path .. "." .. key
  end
  return ("%s[%s]"):format(path, tw.encode(key))
end

--- Puts every scalar and every empty container of `node` into `leaves`, by path.
local function collect(event, node, path, leaves)
  local empty = true
  for key, value in pairs(node) do
    empty = false
    local below = step(path, key)
    if type(value) == "userdata" and value ~= tw.null then
      collect(event, value, below, leaves)
    else
      local text, kind = tw.path(below):text(event)
      leaves[below] = kind == "string" and tw.encode(text) or text
    end
  end
  if empty then
    leaves[path] = tw.encode(node):find "^%s*%[" and "[]" or "{}"
  end
  return leaves
end

local function same_number(a, b)
  local x, y = tonumber(a), tonumber(b)
  return x ~= nil and x == y and math.type(x) == math.type(y)
end

local function line_of(path, expected, got)
  local where = path == "" and "the event" or path
  if expected == nil then
    return ("%s: not expected, got %s"):format(where, got)
  elseif got == nil then
    return ("%s: expected %s, got nothing"):format(where, expected)
  end
  return ("%s: expected %s, got %s"):format(where, expected, got)
end

--- How `got` differs from `expected`, a line for each place in order of path; nil when equal.
function M.diff(expected, got)
  local by_text = type(expected) == "string"
  local want, have = view_of(expected), view_of(got)
  want, have = collect(want, want, "", {}), collect(have, have, "", {})
  local lines = {}
  for path, text in pairs(want) do
    local other = have[path]
    if text ~= other and (by_text or not other or not same_number(text, other)) then
      lines[#lines + 1] = line_of(path, text, other)
    end
  end
  for path, text in pairs(have) do
    if want[path] == nil then
      lines[#lines + 1] = line_of(path, nil, text)
    end
  end
  table.sort(lines)
  return lines[1] and table.concat(lines, "\n") or nil
end

--- A backend that keeps what it gets, as JSON text, in its field `events`.
function M.recorder()
  return {
    events = {},
    send = function(self, event)
      self.events[#self.events + 1] = tw.encode(event)
    end,
  }
end

-- ----------------------------------------------------------------- clock

local clock = { __name = "tidewire.clock", __metatable = false }
clock.__index = clock

local function run_timers(tree)
  if tree then
    tree:tick()
    return
  end
  local ok, message = core.run_timers()
  if not ok then
    error(message, 0)
  end
end

--- Lets so many seconds pass. Each timer runs at its own time. What fails raises an error, or
-- is told to the observer of `tree`.
function clock:advance(seconds, tree)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    core.misuse(("advance: 'seconds' must be a number from 0, not %s"):format(tostring(seconds)))
  end
  local target = self.time + math.floor(seconds * 1e6 + 0.5)
  local due = timers.next_due()
  while due and due <= target do
    self.time = math.max(self.time, due)
    core.turn(self.time, true)
    run_timers(tree)
    due = timers.next_due()
  end
  self.time = target
  core.turn(target, true)
end

--- The real clock is back.
function clock.close()
  core.turn(nil)
end
clock.__close = clock.close

--- Stops the clock of this Lua state, at 2026-01-01T00:00:00Z unless told otherwise (seconds
-- since 1970, or RFC 3339). From now on time passes only by `clock:advance`.
function M.clock(start)
  local seconds = type(start) == "string" and tw.parse_time(start) or start or 1767225600
  if type(seconds) ~= "number" then
    core.misuse(("clock: 'start' must be seconds since 1970 or a time of RFC 3339, not %s"):format(tostring(start)))
  end
  local self = setmetatable({ time = math.floor(seconds * 1e6 + 0.5) }, clock)
  core.turn(self.time)
  return self
end

-- ------------------------------------------------------------------- run

local function lets_time_pass(given)
  if is_list(given) then
    for _, item in ipairs(given) do
      if type(item) == "number" then
        return true
      end
    end
  end
  return false
end

local function send_each(router, given, time)
  for _, item in ipairs(is_list(given) and given or { given }) do
    if type(item) == "number" then
      time:advance(item, router)
    else
      local sent, message = router:send(type(item) == "string" and view_of(item) or item)
      if not sent then
        error(message, 0)
      end
    end
  end
end

local function send_all(router, given)
  if lets_time_pass(given) then
    local time <close> = M.clock()
    send_each(router, given, time)
  else
    send_each(router, given)
  end
  assert(router:flush())
end

local function views_of(events)
  local views = {}
  for i, event in ipairs(events) do
    views[i] = view_of(event)
  end
  return views
end

local function run_processor(processor, given)
  local recorder, failures = M.recorder(), {}
  local router = tw.router({
    processors = { processor },
    backends = { out = recorder },
    on_failure = function(failure)
      failures[#failures + 1] = failure.message
    end,
  })
  if lets_time_pass(given) then
    local time <close> = M.clock()
    send_each(router, given, time)
    router:close()
  else
    send_each(router, given)
    router:close()
  end
  return views_of(recorder.events), failures
end

--- What a backend kept: a memory backend or a recorder; nil for any other.
local function kept_by(backend)
  if core.class(backend) == "backend" then
    local ok, events = pcall(backend.events, backend)
    return ok and events or nil
  end
  return type(backend) == "table" and type(backend.events) == "table" and views_of(backend.events) or nil
end

local function gather(router, prefix, found)
  for name, backend in pairs(router.backends) do
    if core.class(backend) == "router" then
      gather(backend, prefix .. name .. "/", found)
    else
      found[prefix .. name] = kept_by(backend)
    end
  end
  return found
end

--- Sends an event, or a list of them, through a processor or a router. A number in the list
-- lets so many seconds pass; time stands still then but for these.
-- A processor gives the events that come out, as views, and the messages of what failed on
-- the way. A router gives a table: for each memory backend and recorder in its tree, by path
-- such as "video/db", the list of all events that it has.
function M.run(subject, given)
  local class = core.class(subject)
  if class ~= "router" and class ~= "tracker" then
    return run_processor(subject, given)
  end
  send_all(subject, given)
  return gather(subject, "", {})
end

local function failure_problem(case, failures)
  local all = table.concat(failures, "\n")
  if case.fails == nil and failures[1] then
    return "failed: " .. all
  elseif case.fails and not all:find(case.fails, 1, true) then
    return ("expected to fail with '%s', got %s"):format(case.fails, failures[1] and all or "no failure")
  end
end

local function result_problem(expected, got)
  expected = is_list(expected) and expected or { expected }
  if #expected ~= #got then
    local texts = {}
    for i, event in ipairs(got) do
      texts[i] = "\n" .. tostring(event)
    end
    return ("expected %d events, got %d%s"):format(#expected, #got, table.concat(texts))
  end
  for i, event in ipairs(expected) do
    local difference = M.diff(event, got[i])
    if difference then
      return #got > 1 and ("event %d:\n%s"):format(i, difference) or difference
    end
  end
end

local function check(case, processor)
  local got, failures = run_processor(processor, case.given)
  local problem = failure_problem(case, failures) or result_problem(case.expect, got)
  if problem then
    error(("%s: %s"):format(case[1], problem), 0)
  end
end

local function case_problem(case, processor)
  if type(case[1]) ~= "string" then
    return "has no sentence as its first item"
  elseif case.given == nil or case.expect == nil then
    return ("'%s' needs 'given' and 'expect'"):format(case[1])
  elseif case.processor == nil and processor == nil then
    return ("'%s' has no processor, nor has its list"):format(case[1])
  end
end

--- The cases of `{ processor = …, cases = { { "sentence", given = …, expect = … } } }` as a
-- list of `{ name, run }`. `run()` raises the difference. `given` and `expect` are an event
-- (table or JSON text) or a list of events; `expect = {}` is for none. A number in the list
-- `given` lets so many seconds pass, on a clock that stands still otherwise. A case may have a
-- `processor` of its own, and `fails = "part of the message"` when it is to fail.
M.cases = core.entry(function(list)
  if type(list) ~= "table" or type(list.cases) ~= "table" then
    core.misuse "cases: 'list' must be a table with a list 'cases'"
  end
  local tests = {}
  for i, case in ipairs(list.cases) do
    local problem = case_problem(case, list.processor)
    if problem then
      core.misuse(("cases: case %d %s"):format(i, problem))
    end
    tests[i] = {
      name = case[1],
      run = function()
        check(case, case.processor or list.processor)
      end,
    }
  end
  return tests
end)

--- What the backends got since `before`, by path.
local function since(before, found)
  local fresh = {}
  for path, events in pairs(found) do
    fresh[path] = table.move(events, #(before[path] or {}) + 1, #events, 1, {})
  end
  return fresh
end

--- Whether `expect` names backends, and is no event or list of them.
local function is_by_path(expect, got)
  if type(expect) ~= "table" or next(expect) == nil then
    return false
  end
  for path, events in pairs(expect) do
    if got[path] == nil or type(events) ~= "table" then
      return false
    end
  end
  return true
end

local function by_path_problem(expect, got)
  for path, events in pairs(got) do
    local problem = result_problem(expect[path] or {}, events)
    if problem then
      return path .. ": " .. problem
    end
  end
end

--- One list is what every backend gets that gets anything.
local function everywhere_problem(expect, got)
  local reached = false
  for path, events in pairs(got) do
    local problem = events[1] and result_problem(expect, events)
    if problem then
      return path .. ": " .. problem
    end
    reached = reached or events[1] ~= nil
  end
  return not reached and result_problem(expect, {}) or nil
end

local function declared_problem(test, router)
  if type(test) ~= "table" or test.given == nil or test.expect == nil then
    return "needs 'given' and 'expect'"
  end
  local failures, before = {}, gather(router, "", {})
  core.set_observer(router, function(failure)
    failures[#failures + 1] = failure.message
  end)
  send_all(router, test.given)
  local got = since(before, gather(router, "", {}))
  return failure_problem(test, failures)
    or (is_by_path(test.expect, got) and by_path_problem or everywhere_problem)(test.expect, got)
end

--- Runs the `tests` that a router declares: `{ "sentence", given = …, expect = … }`, where
-- `expect` is an event or a list of them, for every backend that gets any, or a table of such
-- lists by the backends' paths. Raises the first difference. Its backends are in memory.
function M.rehearse(router)
  for i, test in ipairs(core.holds(router).tests or {}) do
    local ok, problem = pcall(declared_problem, test, router)
    if problem then
      local name = ok and type(test) == "table" and type(test[1]) == "string" and " '" .. test[1] .. "'" or ""
      error(("test %d%s: %s"):format(i, name, (tostring(problem):gsub("%s*\n%s*", "; "))), 0)
    end
  end
end

return M
