-- expect: set_hooks: these are the library's own
return function(_)
  local function forever() return function() end, "x" end
  require("tidewire.core").set_hooks { forever, forever, forever, forever, forever }
end
