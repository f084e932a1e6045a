-- The routing job into one file, with $BENCH_BRANCHES further branches beside it whose
-- processor leaves the event alone: it drops it in C, drops it in Lua, or reads it in Lua
-- ($BENCH_KIND: allowlist, drop, read).
local tw = require "tidewire"
local job = require "job"

local kinds = {
  allowlist = tw.processors.allowlist { "no.such.event" },
  drop = function() return false end,
  read = function(event) local _ = event.name end,
}

local backends = { archive = tw.backends.file { path = os.getenv "BENCH_OUT" .. "/archive.ndjson", append = false } }
for i = 1, tonumber(os.getenv "BENCH_BRANCHES") do
  backends["branch" .. i] = tw.router {
    processors = { kinds[os.getenv "BENCH_KIND"] },
    backends = { none = tw.backends.null {} },
  }
end

return tw.router {
  processors = { tw.processors.allowlist(job.allowed), job.process },
  backends = backends,
}
