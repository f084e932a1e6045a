-- expect: a router script does not wait
local tw = require "tidewire"
return function()
  local tracker = tw.tracker { backends = { out = tw.backends.null() }, context_locator = tw.locators.default() }
  assert(tracker:poll() == 0)
  tracker:poll(1e6)
end
