local throttle = require("tidewire").processors.throttle

local function each(count)
  local given = {}
  for i = 1, count do
    given[i] = { user = "ann", n = i }
  end
  return given
end

return {
  cases = {
    {
      "a burst passes, then what the rate allows",
      processor = throttle { rate = 2, per = 10, by = "user" },
      given = { { user = 1, n = 1 }, { user = 1, n = 2 }, { user = 1, n = 3 }, 5, { user = 1, n = 4 }, { user = 1, n = 5 } },
      expect = { { user = 1, n = 1 }, { user = 1, n = 2 }, { user = 1, n = 4 } },
    },
    {
      "each key has a rate of its own, and a string is no number",
      processor = throttle { rate = 1, by = "user" },
      given = { { user = 7 }, { user = "7" }, { user = 7 }, {}, { user = require("tidewire").null } },
      expect = { { user = 7 }, { user = "7" }, {} },
    },
    {
      "without a key all share one",
      processor = throttle { rate = 1 },
      given = { { n = 1 }, { n = 2 }, 1, { n = 3 } },
      expect = { { n = 1 }, { n = 3 } },
    },
    {
      "a pause fills the bucket, but not beyond the burst",
      processor = throttle { rate = 1, per = 1, burst = 2 },
      given = { 1000, { n = 1 }, { n = 2 }, { n = 3 } },
      expect = { { n = 1 }, { n = 2 } },
    },
    {
      "a rate below one a second passes one at a time",
      processor = throttle { rate = 0.5 },
      given = { { n = 1 }, 1.999999, { n = 2 }, 0.000001, { n = 3 } },
      expect = { { n = 1 }, { n = 3 } },
    },
    {
      "memory is bounded: a key that was forgotten has a full burst again",
      processor = throttle { rate = 1, per = 1000, by = "user", max_keys = 2 },
      given = { 0, { user = 1, n = 1 }, { user = 2 }, { user = 3 }, { user = 1, n = 2 } },
      expect = { { user = 1, n = 1 }, { user = 2 }, { user = 3 }, { user = 1, n = 2 } },
    },
    {
      "many events of one key pass at the rate",
      processor = throttle { rate = 3, per = 3600, by = "user" },
      given = each(50),
      expect = each(3),
    },
  },
}
