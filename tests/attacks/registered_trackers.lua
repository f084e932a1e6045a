-- expect: ok
-- What the process has registered is the host's.
return function(_)
  local tw = require "tidewire"
  local core = require "tidewire.core"
  for _, f in ipairs { tw.register_tracker, tw.unregister_tracker, tw.get_tracker, core.register_tracker } do
    local ok, message = pcall(f, tw.tracker {}, "mine")
    assert(not ok and message:find("the host's", 1, true), message)
  end
end
