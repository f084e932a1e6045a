-- The router of reload_bench.c: counts, compares and measures what it gets.
--
-- `mark` and `late` come from two files that are written one after the other: a generation
-- that was read in between would have different ones. The figures are in a state, so that they
-- cross every reload. Latencies are counted in buckets: eighths of powers of two of a
-- microsecond.
local tw = require "tidewire"

local log = math.log

local seen = tw.state("seen", {
  init = function()
    return { due = { 0, 0 }, bad = 0, took = {}, gaps = {}, longest = 0, longest_gap = 0 }
  end,
})

local function count(buckets, us)
  local key = tostring(us > 1 and log(us, 2) * 8 // 1 | 0 or 0)
  buckets[key] = (buckets[key] or 0) + 1
end

--- How long the event was on its way, and how long its worker stood still for the swap.
local function measure(event, now)
  local us = (now - event.t) * 1e6
  count(seen.took, us)
  seen.longest = math.max(seen.longest, us)
  if seen.last and seen.generation ~= event.generation then
    local gap = (now - seen.last) * 1e6
    count(seen.gaps, gap)
    seen.longest_gap = math.max(seen.longest_gap, gap)
  end
  seen.last, seen.generation = now, event.generation
end

local function check(event, late)
  local who, i = event.who + 1, event.i
  if seen.due[who] ~= i or event.mark ~= late then
    seen.bad = seen.bad + 1
  end
  seen.due[who] = i + 1
end

--- The figures so far; those of latencies begin anew.
local function report(event)
  event.seen = seen
  seen.took, seen.gaps, seen.longest, seen.longest_gap, seen.last = {}, {}, 0, 0, nil
end

return function(mark, late, backend)
  return tw.router {
    processors = {
      function(event)
        event.mark = mark
      end,
      function(event)
        if event.report then
          return report(event)
        end
        measure(event, tw.now())
        check(event, late)
        tw.drop()
      end,
    },
    backends = { out = backend },
  }
end
