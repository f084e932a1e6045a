-- expect: ok
return function(_)
  local mt = {} for i = 1, 1000 do setmetatable({}, mt) end mt.__gc = function() while true do end end local t = {} for i = 1, 10000 do t[i] = {} end
end
