-- expect: ok
-- slow: stopped after
-- Keys and values of 18 MB in all, as they would be kept, with 16 MB of memory.
return function(_)
  local tw = require "tidewire"
  local p, long = tw.processors, ("x"):rep(30000)
  local processors = {
    p.window { every = 60, by = "u", compute = { distinct = "u" } },
    p.sessionize { by = "u" },
  }
  for i = 1, 240 do
    local json = '{"timestamp":"2026-01-01T00:00:00Z","u":"%s%d"}'
    processors[i % #processors + 1](tw.event(json:format(long, i)))
  end
end
