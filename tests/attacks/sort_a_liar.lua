-- expect: stopped after
return function(_)
  table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end, __index = rawlen }))
end
