-- expect: a router script cannot run another one
-- One that is granted everything could be written with a backend before.
return function(_)
  require("tidewire").tracker { script = "tests/attacks/loop.lua", grants = { "io", "os", "debug" } }
end
