-- expect: stopped after
return function(_)
  local text, list = ("a"):rep(4000000), {}
  for i = 1, 1000 do list[i] = text end
  table.sort(list)
end
