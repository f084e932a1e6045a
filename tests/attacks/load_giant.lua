-- expect: any
return function(_)
  return load("return {" .. ("{},"):rep(1000000) .. "}")
end
