-- What the soak routes through: edits, drops, splits, failures, two files and a database.
local tw = require "tidewire"

return tw.router {
  processors = {
    function(event)
      local n = event.n
      if type(n) ~= "number" then return end
      if n % 7 == 0 then tw.drop() end
      if n % 11 == 0 then error "chosen to fail" end
      if n % 13 == 0 then return tw.split({ n = n, half = 1 }, { n = n, half = 2 }) end
      event.seen = true
      event.data = nil
    end,
  },
  backends = {
    file = tw.backends.file { path = "out/events.ndjson", rotate_size = "256KiB" },
    branch = tw.router {
      processors = { function(event) event.branch = { deep = { 1, 2, 3 } } end },
      backends = {
        db = tw.backends.sqlite { path = "out/events.db" },
        file = tw.backends.file { path = "out/branch.ndjson" },
      },
    },
  },
}
