-- expect: stopped after
return function(_)
  return table.concat(setmetatable({}, { __index = table.concat }), "", 1, math.maxinteger)
end
