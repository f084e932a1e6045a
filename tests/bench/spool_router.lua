-- The routing job with outboxes as the benchmark of the spool asks for: BENCH_DURABILITY is
-- "none" (no outboxes), "memory", "os" or "commit"; the spool is BENCH_SPOOL.
local tw = require "tidewire"
local job = require "job"

local out, durability = os.getenv "BENCH_OUT", os.getenv "BENCH_DURABILITY"
local engine
if durability == "memory" then
  engine = { durability = "memory" }
elseif durability ~= "none" then
  engine = { durability = durability, spool = os.getenv "BENCH_SPOOL" }
end

return tw.router {
  engine = engine,
  processors = { tw.processors.allowlist(job.allowed), job.process },
  route = function(event) return event.route end,
  backends = {
    archive = tw.backends.file { path = out .. "/archive.ndjson", append = false },
    video = tw.backends.file { path = out .. "/video.ndjson", append = false },
  },
}
