-- expect: stopped after
return function(_)
  local text, list = ("0"):rep(4000000), {}
  for i = 1, 20000 do list[i] = text end
  math.max(table.unpack(list))
end
