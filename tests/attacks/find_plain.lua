-- expect: ok
return function(_)
  return (("a"):rep(1000000)):find(("a"):rep(500000) .. "b", 1, true)
end
