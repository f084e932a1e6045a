-- chain and when
local tw = require "tidewire"
local processors = tw.processors
local chain, when = processors.chain, processors.when

local function is_video(event)
  return event.name == "play"
end

local function double(event)
  return { event, { name = "copy", n = event.n } }
end

local function count(event)
  event.n = event.n + 1
end

return {
  processor = chain(when(is_video, processors.set { kind = "video" }), processors.rename_event { play = "video.play" }),
  cases = {
    {
      "the steps of a chain run in order",
      given = { [[{"name":"play"}]], [[{"name":"stop"}]] },
      expect = { [[{"name":"video.play","kind":"video"}]], [[{"name":"stop"}]] },
    },
    {
      "a drop ends the chain",
      processor = chain(function(event)
        if event.n == 1 then
          return false
        end
      end, count),
      given = { [[{"n":1}]], [[{"n":2}]] },
      expect = [[{"n":3}]],
    },
    {
      "tidewire.drop ends the chain too",
      processor = chain(tw.drop, count),
      given = [[{"n":1}]],
      expect = {},
    },
    {
      "each piece of a split goes through the rest of the chain",
      processor = chain(double, count, count),
      given = [[{"name":"a","n":1}]],
      expect = { [[{"name":"a","n":3}]], [[{"name":"copy","n":3}]] },
    },
    {
      "an event that is given twice becomes two",
      processor = chain(function(event)
        return { event, event }
      end, count),
      given = [[{"n":1}]],
      expect = { [[{"n":2}]], [[{"n":2}]] },
    },
    {
      "a drop ends only the piece that it is called for",
      processor = chain(double, function(event)
        if event.name == "copy" then
          tw.drop()
        end
      end),
      given = [[{"name":"a","n":1}]],
      expect = [[{"name":"a","n":1}]],
    },
    {
      "a chain that drops every piece drops the event",
      processor = chain(double, tw.drop),
      given = [[{"name":"a","n":1}]],
      expect = {},
    },
    {
      "a replacement goes through the rest of the chain",
      processor = chain(function()
        return { n = 7 }
      end, count),
      given = [[{"name":"a","n":1}]],
      expect = [[{"n":8}]],
    },
    {
      "splits multiply",
      processor = chain(double, double),
      given = [[{"name":"a","n":1}]],
      expect = {
        [[{"name":"a","n":1}]],
        [[{"name":"copy","n":1}]],
        [[{"name":"copy","n":1}]],
        [[{"name":"copy","n":1}]],
      },
    },
    {
      "a chain with a redactor fails closed",
      processor = chain(processors.redact { paths = { "email" } }, function()
        error "broken"
      end),
      given = [[{"email":"ann@example.org"}]],
      expect = {},
      fails = "broken",
    },
    {
      "a chain without one passes the event as it was",
      processor = chain(count, function()
        error "broken"
      end),
      given = [[{"n":1}]],
      expect = [[{"n":1}]],
      fails = "broken",
    },
    {
      "processors made in C may stand in a chain",
      processor = chain(processors.allowlist { "a" }, when(is_video, processors.allowlist { "b" }), count),
      given = { [[{"name":"a","n":1}]], [[{"name":"b","n":1}]] },
      expect = [[{"name":"a","n":2}]],
    },
    {
      "when passes over the other events",
      processor = when(is_video, tw.drop),
      given = { [[{"name":"play"}]], [[{"name":"stop"}]] },
      expect = [[{"name":"stop"}]],
    },
    {
      "when takes over the redactor's fail-closed also for its predicate",
      processor = when(function(event)
        return event.user.id
      end, processors.redact { paths = { "email" } }),
      given = [[{"email":"ann@example.org"}]],
      expect = {},
      fails = "nil value",
    },
  },
}
