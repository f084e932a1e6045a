local dedup = require("tidewire").processors.dedup

return {
  cases = {
    {
      "an id passes once within the time",
      processor = dedup { within = 10 },
      given = { { id = "a", n = 1 }, { id = "a", n = 2 }, 9.999999, { id = "a", n = 3 }, 0.000001, { id = "a", n = 4 } },
      expect = { { id = "a", n = 1 }, { id = "a", n = 4 } },
    },
    {
      "the time counts from the one that passed",
      processor = dedup { within = 10, by = "k" },
      given = { { k = 1, n = 1 }, 6, { k = 1, n = 2 }, 6, { k = 1, n = 3 } },
      expect = { { k = 1, n = 1 }, { k = 1, n = 3 } },
    },
    {
      "a string and a number are different keys",
      processor = dedup { by = "k" },
      given = { 0, { k = 1 }, { k = "1" }, { k = 1 } },
      expect = { { k = 1 }, { k = "1" } },
    },
    {
      "what has no key passes",
      processor = dedup { by = "k" },
      given = { 0, { n = 1 }, { n = 1 }, [[{"k":null}]], [[{"k":null}]] },
      expect = { { n = 1 }, { n = 1 }, [[{"k":null}]], [[{"k":null}]] },
    },
    {
      "memory is bounded: the oldest are forgotten early",
      processor = dedup { by = "k", max = 4 },
      given = { 0, { k = 1 }, { k = 2 }, { k = 3 }, { k = 4 }, { k = 4 }, { k = 5 }, { k = 1 } },
      expect = { { k = 1 }, { k = 2 }, { k = 3 }, { k = 4 }, { k = 5 }, { k = 1 } },
    },
  },
}
