-- expect: stopped after
return function(event)
  local list = {}
  for i = 1, 400000 do
    list[i] = event
  end
  return list
end
