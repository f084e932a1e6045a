-- How the cost of an event grows with its size and with the number of processors, in a Lua
-- program. Each figure is the median of several rounds, in microseconds an event, next to its
-- ratio to the first row.
local tw = require "tidewire"

local rounds = 7

local function text_of(size)
  local fields, length = {}, 60
  local i = 0
  while length < size do
    i = i + 1
    local field = ('"field_%d": {"title": "Tides and currents, unit %d", "at": %d.25, "ok": true}'):format(i, i, i)
    fields[i], length = field, length + #field + 2
  end
  return '{"name": "video.played", "context": {"user_id": 7}, "data": {' .. table.concat(fields, ", ") .. "}}"
end

local function cost(router, json, count)
  local times = {}
  for round = 1, rounds do
    local start = os.clock()
    for _ = 1, count do router:send(tw.event(json)) end
    times[round] = (os.clock() - start) / count * 1e6
  end
  table.sort(times)
  return times[rounds // 2 + 1]
end

local function report(title, rows)
  print(("%-28s %10s %8s"):format(title, "us/event", "ratio"))
  for _, row in ipairs(rows) do
    print(("%-28s %10.3f %8.2f  %s"):format(row[1], row[2], row[2] / rows[1][2], row[3] or ""))
  end
end

local function by_size()
  local rows = {}
  for _, kib in ipairs { 0.2, 0.5, 1, 4, 16, 64 } do
    local json = text_of(kib * 1024)
    local router = tw.router {
      processors = { function(event) event.context.host = "h1" end },
      backends = { none = tw.backends.null {} },
    }
    local us = cost(router, json, math.ceil(20000 / (1 + kib)))
    rows[#rows + 1] = { ("%g KiB"):format(kib), us, ("%.2f ns/byte"):format(us * 1000 / #json) }
    router:close()
  end
  report("size of the event", rows)
end

local function by_processors()
  local rows, json = {}, text_of(512)
  for _, count in ipairs { 1, 2, 4, 8, 16, 32 } do
    local processors = {}
    for i = 1, count do
      processors[i] = function(event) event.context.user_id = i end
    end
    local router = tw.router { processors = processors, backends = { none = tw.backends.null {} } }
    local us = cost(router, json, 20000)
    local step = #rows > 0 and ("+%.1f%% of one for each"):format((us / rows[1][2] - 1) / (count - 1) * 100)
    rows[#rows + 1] = { count .. " processors", us, step }
    router:close()
  end
  report("processors that edit", rows)
end

by_size()
by_processors()
