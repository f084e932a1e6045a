-- expect: stopped after
return function(_)
  return (("a"):rep(100000)):match((".*"):rep(10) .. "x")
end
