-- expect: stopped after
return function(_)
  local list = table.pack(table.unpack({}, 1, 200000))
  list.n = nil
  table.unpack(setmetatable(list, { __index = next }), 1, 100000)
end
