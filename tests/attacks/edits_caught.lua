-- expect: any
return function(event)
  local s = ("x"):rep(2000)
  local function add()
    event.k = s
  end
  for _ = 1, math.huge do
    pcall(add)
  end
end
