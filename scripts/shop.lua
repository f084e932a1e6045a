-- shop.lua: a Lua program whose operator routes its events while it runs.
--
--   LUA_CPATH='build/release/?.so;;' lua5.4 scripts/shop.lua scripts/shop-routing.lua
--
-- Each line that you type is an order, such as `ann 1250`: a customer and an amount in cents.
-- What becomes of it is said by the script, which runs on two threads of its own. Edit the
-- script and type `reload`; end with Ctrl-D.
local tw = require "tidewire"

-- What the script may name beside the backends that ship.
local till = tw.backends.memory {}

local tracker = tw.tracker {
  script = assert(arg[1], "usage: shop.lua SCRIPT"),
  workers = 2,
  partition_by = "data.customer", -- each customer's orders keep their order
  host_backends = { till = till },
}

local function reload()
  local ok, message = tracker:reload()
  print(ok and "the new script runs" or "the old script goes on: " .. message)
end

local orders, taken = 0, 0

local function order(customer, cents)
  orders, taken = orders + 1, taken + cents
  local _ <close> = tracker:context("order", { number = orders })
  assert(tracker:emit("order.paid", { customer = customer, cents = cents }))
end

print "the shop is open"
io.stdout:flush()
for line in io.lines() do
  local customer, cents = line:match "^(%w+) (%d+)$"
  if line == "reload" then
    reload()
  elseif customer then
    order(customer, math.tointeger(cents))
  else
    print "an order is a customer and an amount in cents, such as: ann 1250"
  end
  io.stdout:flush()
end

assert(tracker:flush()) -- all orders have reached the backends
local sum = 0
for _, event in ipairs(till:events()) do
  sum = sum + event.data.cents
end
print(("taken: %d orders, %d cents"):format(orders, taken))
print(("till:  %d orders, %d cents"):format(till:count(), sum))
tracker:close()
