local processors = require("tidewire").processors
local batch = processors.batch

local function at(time, name, events)
  local count = select(2, events:gsub("n", ""))
  return ('{"name":"%s","timestamp":"2026-01-01T00:00:%sZ","context":{},"data":{"count":%d,"events":[%s]}}'):format(
    name,
    time,
    count,
    events
  )
end

return {
  cases = {
    {
      "so many events become one, exactly as they were",
      processor = batch { events = 2 },
      given = { 0, [[{"n":1.0}]], [[{ "n" : [] }]], [[{"n":123456789012345678901234567890}]] },
      expect = {
        at("00.000000", "batch", [[{"n":1.0},{ "n" : [] }]]),
        at("00.000000", "batch", [[{"n":123456789012345678901234567890}]]),
      },
    },
    {
      "the time counts from the first event",
      processor = batch { seconds = 5, as = "b" },
      given = { 3, [[{"n":1}]], 4, [[{"n":2}]], 1, [[{"n":3}]], 5 },
      expect = { at("08.000000", "b", [[{"n":1},{"n":2}]]), at("13.000000", "b", [[{"n":3}]]) },
    },
    {
      "an event that is too large goes on by itself",
      processor = batch { bytes = 10 },
      given = { 0, [[{"n":1}]], [[{"large":true}]], [[{"n":2}]] },
      expect = {
        [[{"large":true}]],
        at("00.000000", "batch", [[{"n":1}]]),
        at("00.000000", "batch", [[{"n":2}]]),
      },
    },
    {
      "what does not fit into one event goes on as it was",
      processor = batch { events = 2 },
      given = { 0, [[{"n":]] .. ("["):rep(127) .. ("]"):rep(127) .. "}", [[{"n":2}]] },
      expect = { [[{"n":]] .. ("["):rep(127) .. ("]"):rep(127) .. "}", [[{"n":2}]] },
      fails = "passed on one by one",
    },
    {
      "it works inside of a chain",
      processor = processors.chain(processors.remove { "x" }, batch { events = 2 }),
      given = { 0, [[{"n":1,"x":1}]], [[{"n":2}]] },
      expect = at("00.000000", "batch", [[{"n":1},{"n":2}]]),
    },
  },
}
