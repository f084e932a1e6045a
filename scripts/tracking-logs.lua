-- tracking-logs.lua: routes the tracking logs of an edX-like learning platform.
--
--   tidewire run scripts/tracking-logs.lua tracking.log
--
-- It writes into out/tracking/:
--
--   raw.ndjson        each event byte for byte as it came
--   events.db         cleaned events in SQLite, with the columns name and timestamp:
--                     SELECT name, count(*) FROM events GROUP BY name ORDER BY 2 DESC
--   problem.ndjson, video.ndjson, forum.ndjson, course.ndjson, other.ndjson
--                     cleaned events by the kind of their event_type
--
-- Comments and other lines that are no JSON go to rejects.ndjson; the summary counts them.
local tw = require "tidewire"

local p = tw.processors

-- The event types of each kind, as patterns of Lua; the first that matches decides.
local kinds = {
  { "problem", "^problem_", "^edx%.problem", "^edx%.drag_and_drop", "^save_problem" },
  { "video", "_video$", "^edx%.video%.", "_transcript$", "^speed_change_video" },
  { "forum", "^edx%.forum%." },
  { "course", "^edx%.course", "^seq_", "^edx%.ui%.", "^page_close$", "^textbook" },
}

local kind_of_type = {}

-- There are few types and many events, so each type is matched once.
local function kind_of(event_type)
  local known = kind_of_type[event_type]
  if known then
    return known
  end
  for _, kind in ipairs(kinds) do
    for i = 2, #kind do
      if event_type:find(kind[i]) then
        kind_of_type[event_type] = kind[1]
        return kind[1]
      end
    end
  end
  return "other"
end

-- A request that the platform logged by itself: its type is the path of the page.
local function is_request(event)
  return event.event_type:sub(1, 1) == "/"
end

local function drop_requests(event)
  if is_request(event) then
    return false
  end
end

-- Older events have no name of their own.
local function name_by_type(event)
  event.name = event.name or event.event_type
end

local function file(name)
  return tw.backends.file { path = ("out/tracking/%s.ndjson"):format(name) }
end

local clean = tw.router {
  processors = {
    drop_requests,
    name_by_type,
    p.decode_json { "event" }, -- browser events carry JSON text
    p.redact { paths = { "ip" }, with = "remove" },
    p.redact { paths = { "username" }, with = "hash", key = "only an example" },
    p.rename { time = "timestamp" },
  },
  route = function(event)
    return "db", kind_of(event.event_type)
  end,
  backends = {
    db = tw.backends.sqlite { path = "out/tracking/events.db" },
    problem = file "problem",
    video = file "video",
    forum = file "forum",
    course = file "course",
    other = file "other",
  },
}

return tw.router { backends = { raw = file "raw", clean = clean } }
