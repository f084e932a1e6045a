-- The routing job as a Tidewire script. Its outputs go to the folder $BENCH_OUT.
local tw = require "tidewire"
local job = require "job"

local out = os.getenv "BENCH_OUT"

return tw.router {
  processors = { tw.processors.allowlist(job.allowed), job.process },
  route = function(event) return event.route end,
  backends = {
    archive = tw.backends.file { path = out .. "/archive.ndjson", append = false },
    video = tw.backends.file { path = out .. "/video.ndjson", append = false },
  },
}
