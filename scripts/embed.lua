-- embed.lua: a Lua program that tracks what it does.
--
--   LUA_CPATH='build/release/?.so;;' lua5.4 scripts/embed.lua
--
-- It prints its events as lines of JSON. See how each carries the union of the contexts that
-- were entered around it, and that the job's context is left although the job failed.
local tw = require "tidewire"

local tracker = assert(tw.tracker {
  processors = { tw.processors.redact { paths = { "context.email" } } },
  backends = { console = tw.backends.stdout {} },
})
tw.register_tracker(tracker)

-- Contexts by name, entered and left like brackets.
tracker:enter_context("request", { user_id = 7, email = "ann@example.org" })
tracker:emit("order.paid", { total = 12.5, items = { "BK-1", "MP-7" } })

-- A context for a function; it is left also when the function fails.
local ok, message = pcall(tracker.context, tracker, "job", { job = "mail" }, function()
  tw.emit "mail.started" -- on the default tracker
  error "no mail server"
end)
tracker:emit("mail.ended", { ok = ok, reason = message:match "no mail.*" })

-- The same for a block.
do
  local _ <close> = tracker:context("job", { job = "report" })
  tracker:emit "report.written"
end

tracker:exit_context "request"
tracker:emit "program.ended"
assert(tracker:flush())
tracker:close()
