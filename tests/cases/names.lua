-- allowlist and regex_filter: both decide by the event's name alone.
local processors = require("tidewire").processors

local allow = processors.regex_filter { allow = { [[edx\.video\.]], [[page_close$]] } }

return {
  processor = processors.allowlist { "order.paid", "größe" },
  cases = {
    {
      "only listed names pass",
      given = { [[{"name":"order.paid","n":1}]], [[{"name":"order"}]], [[{"name":"order.paid.x"}]] },
      expect = [[{"name":"order.paid","n":1}]],
    },
    {
      "an escaped name is compared by its content",
      given = [[{"name":"gr\u00f6\u00dfe"}]],
      expect = [[{"name":"größe"}]],
    },
    { "an event without a name is dropped", given = [[{"data":{}}]], expect = {} },
    { "a name that is no string is dropped", given = { [[{"name":1}]], [[{"name":null}]] }, expect = {} },
    {
      "a pattern is matched at the start of the name",
      processor = allow,
      given = { [[{"name":"edx.video.played"}]], [[{"name":"my.edx.video.played"}]], [[{"name":"edx-video-x"}]] },
      expect = [[{"name":"edx.video.played"}]],
    },
    {
      "any of the patterns lets an event pass",
      processor = allow,
      given = { [[{"name":"page_close"}]], [[{"name":"page_closed"}]] },
      expect = [[{"name":"page_close"}]],
    },
    {
      "a denied name is dropped and the others pass",
      processor = processors.regex_filter { deny = { "debug" } },
      given = { [[{"name":"debug.x"}]], [[{"name":"x.debug"}]] },
      expect = [[{"name":"x.debug"}]],
    },
    {
      "what passes is untouched",
      processor = allow,
      given = [[{"name":"page_close","n":1.00,"e":[],"z":123456789012345678901234567890}]],
      expect = [[{"name":"page_close","n":1.00,"e":[],"z":123456789012345678901234567890}]],
    },
  },
}
