local tw = require "tidewire"
local set = tw.processors.set

return {
  processor = set { ["context.host"] = "h1" },
  cases = {
    {
      "a value replaces what was there",
      given = [[{"name":"a","context":{"host":"old","n":1}}]],
      expect = [[{"name":"a","context":{"host":"h1","n":1}}]],
    },
    {
      "missing objects on the way are made",
      given = [[{"name":"a"}]],
      expect = [[{"name":"a","context":{"host":"h1"}}]],
    },
    {
      "a way through a scalar fails and leaves the event as it was",
      given = [[{"name":"a","context":"text"}]],
      expect = [[{"name":"a","context":"text"}]],
      fails = "context",
    },
    {
      "a function makes the value from the event",
      processor = set {
        ["data.kind"] = function(event)
          return event.name:match "^[^.]+"
        end,
      },
      given = [[{"name":"order.paid","data":{}}]],
      expect = [[{"name":"order.paid","data":{"kind":"order"}}]],
    },
    {
      "a function that returns nil sets nothing",
      processor = set { ["data.kind"] = function() end },
      given = [[{"name":"a","data":{"kind":7}}]],
      expect = [[{"name":"a","data":{"kind":7}}]],
    },
    {
      "a function that fails leaves the event as it was",
      processor = set {
        ["data.a"] = 1,
        ["data.b"] = function(event)
          return event.data.user.name
        end,
      },
      given = [[{"name":"a","data":{}}]],
      expect = [[{"name":"a","data":{}}]],
      fails = "nil value",
    },
    {
      "null, false and zero are values",
      processor = set { a = tw.null, b = false, c = 0, d = "" },
      given = [[{"name":"a"}]],
      expect = [[{"name":"a","a":null,"b":false,"c":0,"d":""}]],
    },
    {
      "tables become objects and arrays",
      processor = set { o = { k = { 1, 2.0 } }, e = {}, l = tw.array {} },
      given = [[{"name":"a"}]],
      expect = [[{"name":"a","o":{"k":[1,2.0]},"e":{},"l":[]}]],
    },
    {
      "an element of an array is set by its index from 0",
      processor = set { ["items[1].seen"] = true },
      given = [[{"items":[{"id":1},{"id":2}]}]],
      expect = [[{"items":[{"id":1},{"id":2,"seen":true}]}]],
    },
    {
      "unicode and quoted keys are kept",
      processor = set { ['data["größe.m²"]'] = "日本 \u{1F30A}" },
      given = [[{"name":"a","data":{}}]],
      expect = [[{"name":"a","data":{"größe.m²":"日本 🌊"}}]],
    },
    {
      "later paths see what earlier ones set, in ascending order",
      processor = set {
        a = 1,
        b = function(event)
          return event.a + 1
        end,
      },
      given = [[{"name":"a"}]],
      expect = [[{"name":"a","a":1,"b":2}]],
    },
    {
      "numbers that nobody touches keep their text",
      given = [[{"n":123456789012345678901234567890,"x":1.50,"y":1E+2,"context":{}}]],
      expect = [[{"n":123456789012345678901234567890,"x":1.50,"y":1E+2,"context":{"host":"h1"}}]],
    },
  },
}
