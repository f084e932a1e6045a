-- expect: any
return function(event)
  local s = ("x"):rep(100000) for i = 1, math.huge do event["k" .. i] = s .. i end
end
