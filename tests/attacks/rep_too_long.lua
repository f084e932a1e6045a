-- expect: any
return function(_)
  return ("x"):rep(1 << 40)
end
