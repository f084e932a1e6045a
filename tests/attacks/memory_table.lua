-- expect: any
return function(_)
  local t = {} for i = 1, math.huge do t[i] = { i } end
end
