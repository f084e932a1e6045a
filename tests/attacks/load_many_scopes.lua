-- expect: stopped after
return function(_)
  local names, out = {}, {}
  for i = 1, 198 do names[i] = "a" .. i end
  local scope = "local " .. table.concat(names, ",") .. "\nlocal function f()\n"
  for i = 1, 180 do out[i] = scope end
  out[#out + 1] = ("x()"):rep(200000)
  load(table.concat(out))
end
