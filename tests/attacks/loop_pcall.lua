-- expect: stopped after
return function(_)
  while true do pcall(function() while true do end end) end
end
