-- shop-routing.lua: where the orders of shop.lua go. Edit it while the shop is open.
local tw = require "tidewire"

return tw.router {
  processors = {
    tw.processors.redact { paths = { "data.customer" }, with = "mask" },
  },
  backends = {
    till = tw.backends.host "till", -- in the memory of the shop
    orders = tw.backends.file { path = "out/orders.ndjson" },
  },
  tests = {
    {
      "no customer is named",
      given = { name = "order.paid", data = { customer = "ann", cents = 5 } },
      expect = { name = "order.paid", data = { customer = "***", cents = 5 } },
    },
  },
}
