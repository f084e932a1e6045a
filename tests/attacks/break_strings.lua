-- expect: ok
return function(_)
  for key in pairs(string) do string[key] = nil end require("tidewire").router { processors = { function() end } }
end
