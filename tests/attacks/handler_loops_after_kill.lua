-- expect: stopped after
return function(_)
  xpcall(function() while true do end end, function() while true do end end)
end
