-- A session's id is new each time, so it is taken out behind.
local tw = require "tidewire"
local p = tw.processors
local LONG = ("a"):rep(250)

local function sessionize(options)
  return p.chain(p.sessionize(options), p.remove { "context.session.id", "s.id", "data.id" })
end

--- Without the time of day, which begins at midnight.
local function session(number, start)
  return { number = number, start = "2026-01-01T00:" .. start .. ".000000Z" }
end

local function ended(at, key, start, last, events)
  return {
    name = "session.ended",
    timestamp = "2026-01-01T00:" .. at .. ".000000Z",
    data = {
      key = key,
      start = "2026-01-01T00:" .. start .. ".000000Z",
      ["end"] = "2026-01-01T00:" .. last .. ".000000Z",
      events = events,
    },
    context = tw.event "{}",
  }
end

return {
  cases = {
    {
      "events that follow closely are one session, which the clock ends",
      processor = sessionize { by = "u", gap = 60 },
      given = { { u = "a" }, 59, { u = "a" }, 60, { n = 1 } },
      expect = {
        { u = "a", context = { session = session(1, "00:00") } },
        { u = "a", context = { session = session(2, "00:00") } },
        ended("01:59", "a", "00:00", "00:59", 2),
        { n = 1 },
      },
    },
    {
      "the events' own time ends one, too",
      processor = sessionize { by = "u", gap = 60, as = "over", to = "s" },
      given = { 0, [[{"u":1,"timestamp":"2026-01-01T00:00:00Z"}]], [[{"u":1,"timestamp":"2026-01-01T00:01:01Z"}]] },
      expect = {
        [[{"u":1,"timestamp":"2026-01-01T00:00:00Z","s":{"number":1,"start":"2026-01-01T00:00:00.000000Z"}}]],
        [[{"name":"over","timestamp":"2026-01-01T00:00:00.000000Z","context":{},"data":{"key":1,"start":"2026-01-01T00:00:00.000000Z","end":"2026-01-01T00:00:00.000000Z","events":1}}]],
        [[{"u":1,"timestamp":"2026-01-01T00:01:01Z","s":{"number":1,"start":"2026-01-01T00:01:01.000000Z"}}]],
        [[{"name":"over","timestamp":"2026-01-01T00:00:00.000000Z","context":{},"data":{"key":1,"start":"2026-01-01T00:01:01.000000Z","end":"2026-01-01T00:01:01.000000Z","events":1}}]],
      },
    },
    {
      "a long key is known, and told, by its hash",
      processor = sessionize { by = "u", gap = 60 },
      given = { { u = LONG }, 59, { u = LONG }, 60 },
      expect = {
        { u = LONG, context = { session = session(1, "00:00") } },
        { u = LONG, context = { session = session(2, "00:00") } },
        ended("01:59", "#" .. tw.hmac_sha256("", "s" .. LONG), "00:00", "00:59", 2),
      },
    },
    {
      "beyond the bound the quiet ones end early",
      processor = sessionize { by = "u", max_keys = 2 },
      given = { { u = 1 }, 1, { u = 2 }, 1, { u = 3 } },
      expect = {
        { u = 1, context = { session = session(1, "00:00") } },
        { u = 2, context = { session = session(1, "00:01") } },
        ended("00:02", 1, "00:00", "00:00", 1),
        { u = 3, context = { session = session(1, "00:02") } },
        ended("00:02", 2, "00:01", "00:01", 1),
        ended("00:02", 3, "00:02", "00:02", 1),
      },
    },
  },
}
