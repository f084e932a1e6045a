-- expect: stopped after
return function(_)
  local text, list = ("a"):rep(4000000), {}
  for i = 1, 20000 do list[i] = text end
  string.format(("%.0s"):rep(#list), table.unpack(list))
end
