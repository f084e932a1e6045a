local sample = require("tidewire").processors.sample

local by_user = sample { rate = 0.5, by = "user" }

return {
  processor = by_user,
  cases = {
    {
      "a rate of 1 keeps all",
      processor = sample { rate = 1 },
      given = { [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] },
      expect = { [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] },
    },
    {
      "a rate of 0 keeps none",
      processor = sample { rate = 0 },
      given = { [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] },
      expect = {},
    },
    {
      "a rate of 1 by key keeps all",
      processor = sample { rate = 1.0, by = "user" },
      given = { [[{"user":1}]], [[{"user":"x"}]] },
      expect = { [[{"user":1}]], [[{"user":"x"}]] },
    },
    {
      "a rate of 0 by key keeps only events without the key",
      processor = sample { rate = 0, by = "user" },
      given = { [[{"user":1}]], [[{"n":1}]], [[{"user":null}]] },
      expect = { [[{"n":1}]], [[{"user":null}]] },
    },
    {
      "events without the key can be dropped",
      processor = sample { rate = 1, by = "user", missing = "drop" },
      given = { [[{"user":1}]], [[{"n":1}]], [[{"user":null}]] },
      expect = [[{"user":1}]],
    },
    {
      "a way through a scalar counts as missing",
      processor = sample { rate = 0, by = "context.user" },
      given = [[{"context":7}]],
      expect = [[{"context":7}]],
    },
    {
      "a string decides by its content, not by its escapes",
      processor = sample { rate = 0.5, by = "user" },
      given = { [[{"user":"ü"}]], [[{"user":"\u00fc"}]], [[{"user":"é"}]] },
      expect = { [[{"user":"ü"}]], [[{"user":"\u00fc"}]] },
    },
    {
      "an object can be the key",
      processor = sample { rate = 0, by = "user" },
      given = [[{"user":{"id":[]}}]],
      expect = {},
    },
  },
}
