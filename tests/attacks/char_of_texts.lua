-- expect: stopped after
return function(_)
  local text, list = (" "):rep(4000000) .. "0", {}
  for i = 1, 20000 do list[i] = text end
  utf8.char(table.unpack(list))
end
