-- expect: the edits of this event take more than
return function(event)
  local s = ("x"):rep(2000)
  for _ = 1, math.huge do
    event.k = s
  end
end
