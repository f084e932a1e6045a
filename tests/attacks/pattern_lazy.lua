-- expect: stopped after
return function(_)
  return (("a"):rep(100000)):find((".-"):rep(20) .. "x")
end
