-- What the second oracle routes lines of files through: each line gets the number to which the
-- state has counted, which is committed with how far the file was read.
local tw = require "tidewire"

local counts = tw.state "counts"

return tw.router {
  engine = {
    delivery = { retry = { min = "1ms", max = "20ms" }, breaker = { failures = 8, rest = "30ms" } },
  },
  processors = {
    function(event)
      counts.all = (counts.all or 0) + 1
      event.c = counts.all
    end,
  },
  backends = {
    all = tw.backends.file { path = "all.ndjson" },
    db = tw.backends.sqlite { path = "all.db" },
  },
}
