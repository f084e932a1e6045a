-- lua-backend.lua: a backend written in Lua, which counts instead of storing.
--
--   tidewire run scripts/lua-backend.lua scripts/sample-events.ndjson
--
-- When the input ends, it prints how many events of each name there were, and the turnover.
-- A backend is any table with `send(self, event)` or `send_batch(self, events)`; `open`,
-- `flush` and `close` are called when it has them.
local tw = require "tidewire"

local function print_table(counts)
  local names = {}
  for name in pairs(counts) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return counts[a] > counts[b] or (counts[a] == counts[b] and a < b)
  end)
  for _, name in ipairs(names) do
    print(("%6d %s"):format(counts[name], name))
  end
end

local counter = {
  counts = {},
  send = function(self, event)
    self.counts[event.name] = (self.counts[event.name] or 0) + 1
  end,
  close = function(self)
    print_table(self.counts)
  end,
}

-- A batch is a list of events; what is summed up outlives them, the events themselves do not.
local turnover = {
  total = 0.0,
  send_batch = function(self, events)
    for _, event in ipairs(events) do
      self.total = self.total + event.data.total
    end
  end,
  close = function(self)
    print(("%9.2f turnover"):format(self.total))
  end,
}

return tw.router {
  route = function(event)
    if event.name == "order.paid" then
      return "counter", "turnover"
    end
    return "counter"
  end,
  backends = { counter = counter, turnover = turnover },
}
