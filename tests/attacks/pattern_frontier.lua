-- expect: stopped after
return function(_)
  return (("a"):rep(100000)):find("%f[b]" .. (".-"):rep(3) .. "x") or (("ab"):rep(50000)):find("%f[b].-.-.-x")
end
