-- expect: stopped after
return function(_)
  return (("a"):rep(100000)):find("[" .. ("b"):rep(100000) .. "]")
end
