-- expect: stopped after
return function(_)
  xpcall(function() error "x" end, function() while true do end end)
end
