-- expect: any
return function(_)
  local s, list = ("x"):rep(500000), {} for i = 1, 100000 do list[i] = { s = s } end return require("tidewire").split(table.unpack(list, 1, 10000))
end
