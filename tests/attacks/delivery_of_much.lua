-- expect: any
local tw = require "tidewire"
local function send() end
return function()
  local much, deep = {}, {}
  for i = 1, 10000 do
    much["option" .. i] = i
    deep = { deep }
  end
  for _, delivery in ipairs { much, deep, { batch = much }, { overload = ("x"):rep(1000000) }, { [1] = 1 }, { batch = { events = 2 ^ 70 } } } do
    assert(not pcall(tw.router, { backends = { a = { send = send, delivery = delivery } } }))
    assert(not pcall(tw.router, { backends = { a = tw.backends.null { delivery = delivery } } }))
  end
end
