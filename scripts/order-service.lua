-- order-service.lua: where the orders of order-service.c go. Edit it while the service runs.
--
-- The service reads it again as soon as it is saved. It is loaded beside the running one and its
-- tests are run; if anything is wrong, the service says so and goes on with the old one.
local tw = require "tidewire"

local LARGE = 9000 -- cents

return tw.router {
  processors = {
    function(event)
      event.data.large = event.data.cents >= LARGE
      event.data.rule = LARGE -- tells later which script an order went through
    end,
  },
  route = function(event)
    if event.data.large then
      return "ledger", "orders", "review"
    end
    return "ledger", "orders"
  end,
  backends = {
    ledger = tw.backends.host "ledger", -- in the memory of the service
    orders = tw.backends.file { path = "out/orders.ndjson" },
    review = tw.backends.file { path = "out/review.ndjson" },
  },
  tests = {
    {
      "an order of 90 is large",
      given = { name = "order.paid", data = { order = 1, cents = 9000 } },
      expect = { name = "order.paid", data = { order = 1, cents = 9000, large = true, rule = LARGE } },
    },
  },
}
