-- expect: stopped after
return function(_)
  table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)
end
