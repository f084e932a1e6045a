-- expect: has no finalizers
return function(_)
  setmetatable({}, { __gc = function() while true do end end })
end
