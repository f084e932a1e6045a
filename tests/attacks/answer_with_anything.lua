-- expect: ok
local tw = require "tidewire"
local slow = setmetatable({}, {
  __index = function()
    error "asked"
  end,
  __len = function()
    return math.maxinteger
  end,
  __pairs = function()
    error "walked"
  end,
})
return function(event)
  local values = { 0, -1, math.huge, 0 / 0, math.mininteger, "", "x", true, {}, slow, event, tw.null, print, coroutine.create(print) }
  for _, f in ipairs { tw.permanent, tw.retry, tw.disabled, tw.priority, tw.set_priority } do
    pcall(f)
    for _, a in ipairs(values) do
      pcall(f, a)
      for _, b in ipairs(values) do
        pcall(f, a, b)
        pcall(f, "x", { after = b })
        pcall(tw.emit, "plain", {}, b)
        if a == a then
          pcall(f, "x", { [a] = b })
          pcall(tw.emit, "plain", {}, { [a] = b, priority = a })
        end
      end
    end
  end
end
