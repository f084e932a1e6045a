-- Lua emit: two contexts of 5 fields, data of 5 fields, a null backend, against the same
-- work by hand: merge the contexts, stamp, encode with lua-cjson.
local tw = require "tidewire"
local cjson = require "cjson"

local count, rounds = 100000, 7
local request = { user_id = 7, session = "8e996d76fa1b", path = "/event", host = "h1", ip = "10.0.2.2" }
local course = { course_id = "course-v1:TideX+C001", org_id = "TideX", run = 2026, unit = "u7", mode = "honor" }

local function data(i)
  return { id = i, code = "OEoXaMPEzfM", current_time = 12.5, muted = false, speed = "1.5" }
end

local function by_hand()
  local contexts = { request, course }
  for i = 1, count do
    local context = {}
    for _, entered in ipairs(contexts) do
      for key, value in pairs(entered) do context[key] = value end
    end
    cjson.encode {
      name = "video.played",
      timestamp = os.date "!%Y-%m-%dT%H:%M:%SZ",
      context = context,
      data = data(i),
    }
  end
end

local tracker = tw.tracker { backends = { none = tw.backends.null {} } }
tracker:enter_context("request", request)
tracker:enter_context("course", course)

local function emit()
  for i = 1, count do tracker:emit("video.played", data(i)) end
end

local function measure(f)
  collectgarbage()
  local start = os.clock()
  f()
  return (os.clock() - start) / count * 1e6
end

local times = { hand = {}, emit = {} }
for i = 1, rounds do
  times.hand[i] = measure(by_hand)
  times.emit[i] = measure(emit)
end
table.sort(times.hand)
table.sort(times.emit)
local hand, tide = times.hand[rounds // 2 + 1], times.emit[rounds // 2 + 1]
print(("%-28s %8s %8s"):format("", "us/emit", "ratio"))
print(("%-28s %8.3f %8.2f"):format("Lua + lua-cjson by hand", hand, 1))
print(("%-28s %8.3f %8.2f"):format("Lua tracker:emit(table)", tide, hand / tide))
