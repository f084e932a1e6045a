-- The processors on a clock against oracles that do the same in the simplest way, on random
-- events. Each seed is a case of its own, so that a failure can be run again.
local tw = require "tidewire"
local testing = require "tidewire.testing"
local p = tw.processors

local SEEDS = { 1, 2, 3, 5, 8, 13 }
local START = 1767225600 -- 2026-01-01T00:00:00Z

--- A function `(from, to) -> integer`, the same numbers everywhere: xorshift.
local function random_of(seed)
  local state = seed * 0x9E3779B97F4A7C15
  return function(from, to)
    state = state ~ state << 13
    state = state ~ state >> 7
    state = state ~ state << 17
    return from + (state >> 1) % (to - from + 1)
  end
end

local function each_seed(sentence, f)
  for _, seed in ipairs(SEEDS) do
    it(("%s (seed %d)"):format(sentence, seed), function()
      f(random_of(seed))
    end)
  end
end

--- What comes out, as plain tables, of a list of events and of seconds that pass.
local function run(processor, given)
  local clock <close> = testing.clock(START)
  local recorder, failures = testing.recorder(), {}
  local router = tw.router {
    processors = { processor },
    backends = { out = recorder },
    on_failure = function(failure)
      failures[#failures + 1] = failure.message
    end,
  }
  for _, item in ipairs(given) do
    if type(item) == "number" then
      clock:advance(item, router)
    else
      assert(router:send(item))
    end
  end
  router:close()
  assert.are.same({}, failures)
  local out = {}
  for i, text in ipairs(recorder.events) do
    out[i] = tw.totable(tw.decode(text))
  end
  return out
end

local function named(events, name)
  local found = {}
  for _, event in ipairs(events) do
    if event.name == name then
      found[#found + 1] = event.data
    end
  end
  return found
end

-- ---------------------------------------------------------------- window

local EVERY, LATENESS = 10, 5

--- What a window says of the values of one key: all numbers are exact in binary.
local function summary(values)
  local told = { count = #values, sum = 0, min = tw.null, max = tw.null, avg = tw.null, distinct = 0 }
  local n, seen = 0, {}
  for _, value in ipairs(values) do
    if type(value) == "number" then
      n, told.sum = n + 1, told.sum + value
      told.min = told.min == tw.null and value or math.min(told.min, value)
      told.max = told.max == tw.null and value or math.max(told.max, value)
      told.avg = told.sum / n
    end
    local text = value ~= tw.null and tw.encode(value)
    if text and not seen[text] then
      seen[text], told.distinct = true, told.distinct + 1
    end
  end
  return told
end

local function window_oracle(events)
  local told, late, open, first, mark = {}, {}, {}, -math.huge, -math.huge
  local missed = 0
  local function close(bound)
    for number = bound == math.huge and 0 or bound - 1000, bound == math.huge and 1e6 or bound - 1 do
      for _, key in ipairs(open[number] and { "a", "b", "c" } or {}) do
        local values = open[number][key]
        local data = values and summary(values)
        if data then
          data.key, data.from = key, tw.format_time(START + number * EVERY)
          data.to = tw.format_time(START + (number + 1) * EVERY)
          told[#told + 1] = data
        end
      end
      open[number] = nil
    end
    if missed > 0 then
      late[#late + 1], missed = { count = missed }, 0
    end
  end
  for _, event in ipairs(events) do
    local number = event.at // EVERY
    if number < first then
      missed = missed + 1
    else
      open[number] = open[number] or {}
      local values = open[number][event.key] or {}
      values[#values + 1] = event.value
      open[number][event.key] = values
      local bound = (event.at - LATENESS) // EVERY
      if event.at > mark then
        mark = event.at
        if bound > first then
          first = bound
          close(bound)
        end
      end
    end
  end
  close(math.huge)
  return told, late
end

local function random_value(random)
  local kind = random(1, 6)
  if kind == 1 then
    return "x" .. random(1, 3)
  elseif kind == 2 then
    return tw.null
  elseif kind == 3 then
    return random(-100, 100) / 4
  end
  return random(-5, 5)
end

describe("window against an oracle", function()
  each_seed("computes, closes and counts late events alike", function(random)
    local events, given, at = {}, { 3600 }, 0
    for i = 1, 400 do
      at = at + random(0, 3)
      local event = {
        at = math.max(0, at - (random(1, 5) == 1 and random(0, 40) or 0)),
        key = ({ "a", "b", "c" })[random(1, 3)],
        value = random_value(random),
      }
      events[i] = event
      given[i + 1] = { timestamp = tw.format_time(START + event.at), k = event.key, v = event.value }
    end
    local compute = { count = true, sum = "v", min = "v", max = "v", avg = "v", distinct = "v" }
    local out = run(p.window { every = EVERY, lateness = LATENESS, by = "k", compute = compute, keep = false }, given)
    local told, late = window_oracle(events)
    assert.are.same(told, named(out, "window"))
    assert.are.same(late, named(out, "window.late"))
  end)
end)

-- ------------------------------------------------------------- sessionize

local GAP = 10

--- For each event { key, number, start }; and the sessions' { key, start, end, events }.
local function session_oracle(given)
  local now, open, numbers, ended = 0, {}, {}, {}
  local function finish(key)
    local session = open[key]
    ended[#ended + 1] = ("%s %d %d %d"):format(key, session.start, session.last, session.n)
    open[key] = nil
  end
  for _, item in ipairs(given) do
    if type(item) == "number" then
      now = now + item
    else
      local session = open[item.k]
      if session and (item.at - session.last > GAP or now - session.seen >= GAP) then
        finish(item.k)
        session = nil
      end
      session = session or { start = item.at, last = item.at, n = 0 }
      open[item.k] = session
      session.last, session.seen, session.n = math.max(session.last, item.at), now, session.n + 1
      numbers[#numbers + 1] = ("%s %d %d"):format(item.k, session.n, session.start)
    end
  end
  for key in pairs(open) do
    finish(key)
  end
  table.sort(ended)
  return numbers, ended
end

local function since_start(text)
  return math.tointeger(tw.parse_time(text) - START)
end

describe("sessionize against an oracle", function()
  each_seed("tells the sessions apart alike", function(random)
    local given, now = {}, 0
    for i = 1, 300 do
      if random(1, 3) == 1 then
        given[i] = random(0, 12)
        now = now + given[i]
      else
        local at = math.max(0, now - random(0, 4) + (random(1, 10) == 1 and random(0, 15) or 0))
        given[i] = { name = "e", k = ({ "a", "b", "c" })[random(1, 3)], at = at, timestamp = tw.format_time(START + at) }
      end
    end
    local numbers, ended = session_oracle(given)
    local got, got_ended = {}, {}
    for _, event in ipairs(run(p.sessionize { by = "k", gap = GAP }, given)) do
      if event.name == "e" then
        local session = event.context.session
        got[#got + 1] = ("%s %d %d"):format(event.k, session.number, since_start(session.start))
      else
        local data = event.data
        local span = ("%d %d"):format(since_start(data.start), since_start(data["end"]))
        got_ended[#got_ended + 1] = ("%s %s %d"):format(data.key, span, data.events)
      end
    end
    table.sort(got_ended)
    assert.are.same(numbers, got)
    assert.are.same(ended, got_ended)
  end)
end)

-- ------------------------------------------------------------------ batch

local function batch_oracle(given, most, seconds)
  local now, held, since, batches = 0, {}, 0, {}
  local function flush()
    if held[1] then
      batches[#batches + 1] = held
      held = {}
    end
  end
  for _, item in ipairs(given) do
    if type(item) == "number" then
      now = now + item
      if now - since >= seconds then
        flush()
      end
    else
      since = held[1] and since or now
      held[#held + 1] = item.n
      if #held == most then
        flush()
      end
    end
  end
  flush()
  return batches
end

describe("batch against an oracle", function()
  each_seed("puts the same events together", function(random)
    local given = {}
    for i = 1, 300 do
      given[i] = random(1, 3) == 1 and random(0, 3) or { n = i }
    end
    local got = {}
    for i, data in ipairs(named(run(p.batch { events = 7, seconds = 5 }, given), "batch")) do
      got[i] = {}
      for k, event in ipairs(data.events) do
        got[i][k] = event.n
      end
      assert.are.equal(#got[i], data.count)
    end
    assert.are.same(batch_oracle(given, 7, 5), got)
  end)
end)

-- ---------------------------------------------------------------- throttle

--- A bucket of tokens, in milliseconds of filling: full at first.
local function throttle_oracle(given, token, burst)
  local buckets, now, passed = {}, 0, {}
  for _, item in ipairs(given) do
    if type(item) == "number" then
      now = now + math.tointeger(item * 1000)
    else
      local bucket = buckets[item.k] or { level = token * burst, at = now }
      bucket.level = math.min(token * burst, bucket.level + now - bucket.at)
      bucket.at = now
      buckets[item.k] = bucket
      if bucket.level >= token then
        bucket.level = bucket.level - token
        passed[#passed + 1] = item.n
      end
    end
  end
  return passed
end

local function numbers_of(events)
  local numbers = {}
  for i, event in ipairs(events) do
    numbers[i] = event.n
  end
  return numbers
end

describe("throttle against an oracle", function()
  each_seed("lets the same events through", function(random)
    local given = {}
    for i = 1, 500 do
      given[i] = random(1, 2) == 1 and random(0, 4) / 8 or { k = random(1, 3), n = i }
    end
    local out = run(p.throttle { rate = 4, by = "k", burst = 3 }, given)
    assert.are.same(throttle_oracle(given, 250, 3), numbers_of(out))
  end)

  it("keeps a rate that is no whole number of microseconds", function()
    local clock <close> = testing.clock()
    local throttle = p.throttle { rate = 700000, burst = 10 }
    local event, passed = tw.event {}, 0
    for _ = 1, 20000 do
      clock:advance(1e-6)
      passed = passed + (throttle(event) == nil and 1 or 0)
    end
    assert.is_true(math.abs(passed - 14010) <= 14, passed)
  end)
end)

-- ------------------------------------------------------------------- dedup

local function dedup_oracle(given, within)
  local now, passed_at, passed = 0, {}, {}
  for _, item in ipairs(given) do
    if type(item) == "number" then
      now = now + item
    elseif not passed_at[item.k] or now - passed_at[item.k] >= within then
      passed_at[item.k] = now
      passed[#passed + 1] = item.n
    end
  end
  return passed
end

describe("dedup against an oracle", function()
  each_seed("drops the same events", function(random)
    local given = {}
    for i = 1, 500 do
      given[i] = random(1, 4) == 1 and random(0, 5) or { k = ("k"):rep(random(1, 3) ^ 6 // 1 | 0), n = i }
    end
    assert.are.same(dedup_oracle(given, 20), numbers_of(run(p.dedup { by = "k", within = 20 }, given)))
  end)

  each_seed("of more keys than it may hold, knows the latest half", function(random)
    local given, passed, latest = {}, {}, {}
    for i = 1, 600 do
      given[i] = { k = random(1, 40), n = i }
    end
    for _, n in ipairs(numbers_of(run(p.dedup { by = "k", within = 1e6, max = 20 }, given))) do
      passed[n] = true
    end
    for i, event in ipairs(given) do
      if passed[i] then
        for _, k in ipairs(latest) do
          assert.are_not.equal(event.k, k, i)
        end
        table.insert(latest, 1, event.k)
        latest[11] = nil
      end
    end
  end)
end)
