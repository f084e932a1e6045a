-- expect: stopped after
return function(_)
  for _ in (("a"):rep(100000)):gmatch((".-"):rep(20) .. "x") do end
end
