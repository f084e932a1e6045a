-- expect: any
return function(_)
  require("tidewire").emit("attack", {})
end
