-- expect: stopped after
return function(_)
  local map = { a = 1 }
  for i = 1, 100000 do map[-i] = 1 end
  for key in pairs(map) do map[key] = nil end
  setmetatable(map, { __index = next })
  local text = ("a"):rep(1000000)
  while true do pcall(string.gsub, text, "a", map) end
end
