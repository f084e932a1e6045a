-- expect: stopped after
return function(_)
  ("a"):gsub("a", function() while true do end end)
end
