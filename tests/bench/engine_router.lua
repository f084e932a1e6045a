-- The routing job without files: what remains is the engine's work and the script's.
local tw = require "tidewire"
local job = require "job"

return tw.router {
  processors = { tw.processors.allowlist(job.allowed), job.process },
  route = function(event) return event.route end,
  backends = { archive = tw.backends.null {}, video = tw.backends.null {} },
}
