-- expect: stopped after
return function(_)
  while true do load(function() while true do end end) end
end
