local window = require("tidewire").processors.window

local DAY = "2026-01-01T00:"
local LONG = ("a"):rep(250)

local function hash(key)
  return "#" .. require("tidewire").hmac_sha256("", key)
end

local function event(time, fields)
  return ('{"timestamp":"%s%sZ"%s}'):format(DAY, time, fields and "," .. fields or "")
end

local function told(at, data, name)
  local head = '{"name":"%s","timestamp":"%s%s.000000Z","context":{},"data":{%s}}'
  return head:format(name or "window", DAY, at, data)
end

local function span(from, to)
  return ('"from":"%s%s.000000Z","to":"%s%s.000000Z"'):format(DAY, from, DAY, to)
end

return {
  cases = {
    {
      "each key and minute gets one event",
      processor = window { every = 60, by = "u", keep = false },
      given = { 0, event("00:10", '"u":"x"'), event("00:59", '"u":"x"'), event("00:20", '"u":7'), event("01:00", '"u":7') },
      expect = {
        told("00:00", '"key":7,' .. span("00:00", "01:00") .. ',"count":1'),
        told("00:00", '"key":"x",' .. span("00:00", "01:00") .. ',"count":2'),
        told("00:00", '"key":7,' .. span("01:00", "02:00") .. ',"count":1'),
      },
    },
    {
      "a long key is known by its hash, and so is a long value",
      processor = window { every = 60, by = "u", compute = { distinct = "v" }, keep = false },
      given = {
        0,
        event("00:10", ('"u":"%s","v":"%s"'):format(LONG, LONG)),
        event("00:20", ('"u":"%s","v":"%s"'):format(LONG, LONG)),
        event("00:20", ('"u":"%sb","v":1%s'):format(LONG, ("0"):rep(300))),
      },
      expect = {
        told("00:00", ('"key":"%s",'):format(hash("s" .. LONG .. "b")) .. span("00:00", "01:00") .. ',"distinct":1'),
        told("00:00", ('"key":"%s",'):format(hash("s" .. LONG)) .. span("00:00", "01:00") .. ',"distinct":1'),
      },
    },
    {
      "the events go on unless told otherwise",
      processor = window { every = 60 },
      given = { 0, event "00:10" },
      expect = { event "00:10", told("00:00", span("00:00", "01:00") .. ',"count":1') },
    },
    {
      "it computes what is asked for, and keeps integers",
      processor = window {
        every = 60,
        keep = false,
        compute = {
          sum = "v",
          min = "v",
          max = "v",
          avg = "v",
          distinct = "u",
          most = { "max", "w" },
          events = { "count" },
        },
      },
      given = {
        0,
        event("00:01", '"v":1,"u":"a","w":-1'),
        event("00:02", '"v":4,"u":"b","w":-0.5'),
        event("00:03", '"v":"none","u":"a"'),
      },
      expect = told(
        "00:00",
        span("00:00", "01:00") .. ',"avg":2.5,"distinct":2,"events":3,"max":4,"min":1,"most":-0.5,"sum":5'
      ),
    },
    {
      "a sum that leaves 64 bits becomes a float, and nothing has no average",
      processor = window { every = 60, keep = false, compute = { sum = "v", avg = "w" } },
      given = { 0, event("00:01", '"v":9223372036854775807'), event("00:02", '"v":9223372036854775807') },
      expect = told("00:00", span("00:00", "01:00") .. ',"avg":null,"sum":1.8446744073709552e+19'),
    },
    {
      "what is late is counted and told, and goes on",
      processor = window { every = 60 },
      given = { 60, event "00:30", event "01:05", event("00:59", '"late":1'), 60 },
      expect = {
        event "00:30",
        told("01:00", span("00:00", "01:00") .. ',"count":1'),
        event "01:05",
        event("00:59", '"late":1'),
        told("02:00", span("01:00", "02:00") .. ',"count":1'),
        told("02:00", '"count":1', "window.late"),
      },
    },
    {
      "lateness waits for stragglers",
      processor = window { every = 60, lateness = 10, keep = false },
      given = { 0, event "00:30", event "01:05", event "00:59", event "01:10" },
      expect = {
        told("00:00", span("00:00", "01:00") .. ',"count":2'),
        told("00:00", span("01:00", "02:00") .. ',"count":2'),
      },
    },
    {
      "a stream that rests closes what is open",
      processor = window { every = 60, keep = false },
      given = { 0, event "00:30", 59, 1, event "01:30" },
      expect = {
        told("01:00", span("00:00", "01:00") .. ',"count":1'),
        told("01:00", span("01:00", "02:00") .. ',"count":1'),
      },
    },
    {
      "a clock that is far ahead makes no others late",
      processor = window { every = 60, keep = false },
      given = { 0, [[{"timestamp":"2099-01-01T00:00:00Z"}]], event "00:30", 3600 },
      expect = {
        told("01:00", span("00:00", "01:00") .. ',"count":1'),
        [[{"name":"window","timestamp":"2026-01-01T00:01:00.000000Z","context":{},"data":{"from":"2099-01-01T00:00:00.000000Z","to":"2099-01-01T00:01:00.000000Z","count":1}}]],
      },
    },
    {
      "by arrival, windows close by the clock",
      processor = window { every = 10, at = "arrival", keep = false },
      given = { 5, { n = 1 }, 6, { n = 2 }, 9 },
      expect = {
        told("00:10", span("00:00", "00:10") .. ',"count":1'),
        told("00:20", span("00:10", "00:20") .. ',"count":1'),
      },
    },
    {
      "an event without a time passes by",
      processor = window { every = 60, keep = false },
      given = { 0, { n = 1 }, { timestamp = "yesterday" } },
      expect = { { n = 1 }, { timestamp = "yesterday" } },
    },
    {
      "keys beyond the bound share one",
      processor = window { every = 60, by = "u", keep = false, max_keys = 1 },
      given = { 0, event("00:01", '"u":1'), event("00:02", '"u":2'), event("00:03", '"u":3') },
      expect = {
        told("00:00", '"key":1,' .. span("00:00", "01:00") .. ',"count":1'),
        told("00:00", '"key":null,' .. span("00:00", "01:00") .. ',"others":true,"count":2'),
      },
    },
    {
      "the time may stand elsewhere, as a number",
      processor = window { every = 60, at = "data.at", keep = false },
      given = { 0, [[{"data":{"at":1767225630.5}}]] },
      expect = told("00:00", span("00:00", "01:00") .. ',"count":1'),
    },
  },
}
