-- expect: stopped after
return function(_)
  local n = 30 return (("a"):rep(n)):find(("a?"):rep(n) .. ("a"):rep(n))
end
