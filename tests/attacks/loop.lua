-- expect: stopped after
return function(_)
  while true do end
end
