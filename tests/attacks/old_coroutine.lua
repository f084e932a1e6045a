-- expect: stopped after
OLD = coroutine.create(function() while true do end end)
return function(_)
  coroutine.resume(OLD)
end
