-- expect: stopped after
return function(_)
  coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) error "x" end)()
end
