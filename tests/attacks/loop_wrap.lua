-- expect: stopped after
return function(_)
  while true do pcall(coroutine.wrap(function() while true do end end)) end
end
