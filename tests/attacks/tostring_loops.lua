-- expect: stopped after
return function(_)
  error(setmetatable({}, { __tostring = function() while true do end end }))
end
