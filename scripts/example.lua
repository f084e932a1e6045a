-- example.lua: routes the events of a small school with a shop.
--
--   tidewire run scripts/example.lua scripts/sample-events.ndjson
--
-- Run from the project's root; it writes into out/:
--
--   events.db         every event but the heartbeats, in SQLite: try
--                     sqlite3 out/events.db 'SELECT name, count(*) FROM events GROUP BY name'
--   archive.ndjson    the same as lines of JSON, without the videos
--   orders.ndjson     paid and refunded orders
--   video/*.ndjson    plays and the other video events, from a router of their own
--
-- Look for e-mail addresses: there are none left, only digests, so that one person's events
-- can still be joined. The last line of the input is an order that was sent twice: the
-- files have it twice, the database once.
local tw = require "tidewire"

local p = tw.processors

local function is_browser(event)
  return event.source == "browser"
end

-- `order.paid` belongs to the area `order`.
local function area_of(event)
  return event.name:match "^[^.]+"
end

-- A router below another one sees a copy: what is added here is in the video files alone.
local video = tw.router {
  processors = {
    p.rename { ["event.at"] = "event.seconds" },
    function(event)
      event.context.course = event.event.video:match "^[^/]+"
    end,
  },
  route = function(event)
    return event.name == "video.play" and "plays" or "others"
  end,
  backends = {
    plays = tw.backends.file { path = "out/video/plays.ndjson" },
    others = tw.backends.file { path = "out/video/others.ndjson" },
  },
}

return tw.router {
  processors = {
    p.regex_filter { deny = { [[debug\.]] } },
    -- In earnest the key is a secret: key_env = "THE_VARIABLE_THAT_HOLDS_IT".
    p.redact { paths = { "**.email" }, with = "hash", key = "only an example" },
    p.rename_event { play = "video.play", pause = "video.pause", seek = "video.seek" },
    p.when(is_browser, p.decode_json { "event" }), -- what is no JSON stays a string
    p.set { ["context.area"] = area_of },
  },
  route = function(event)
    local area = event.context.area
    if area == "video" then
      return "db", "video"
    elseif area == "order" then
      return "db", "archive", "orders"
    end
    return "db", "archive"
  end,
  backends = {
    db = tw.backends.sqlite { path = "out/events.db" },
    archive = tw.backends.file { path = "out/archive.ndjson" },
    orders = tw.backends.file { path = "out/orders.ndjson" },
    video = video,
  },
}
