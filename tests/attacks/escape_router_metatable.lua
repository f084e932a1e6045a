-- expect: any
return function(_)
  getmetatable(require("tidewire").router {}).__index = nil
end
