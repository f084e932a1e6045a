-- One backend of the host's behind a spool, for what waits in it; BENCH_SPOOL is its folder.
local tw = require "tidewire"

return tw.router {
  engine = { spool = os.getenv "BENCH_SPOOL", durability = os.getenv "BENCH_DURABILITY" or "os",
    delivery = { max_events = "none", max_bytes = "none" } },
  backends = { host = tw.backends.host "host" },
}
