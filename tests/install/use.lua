-- A Lua program against the installed module.
local tw = require "tidewire"
local cjson = require "cjson"

assert(tw.null == cjson.null)
local seen = {}
local tracker = tw.tracker {
  processors = { function(event) event.context.host = "h1" end },
  backends = {
    list = { send = function(_, event) seen[#seen + 1] = tw.totable(event) end },
    none = tw.backends.null {},
  },
}
tracker:enter_context("request", { user_id = 7 })
tracker:emit("order.paid", { total = 12.5 })
tracker:exit_context "request"
assert(#seen == 1 and seen[1].context.host == "h1" and seen[1].context.user_id == 7)
print(cjson.encode(seen[1]))
