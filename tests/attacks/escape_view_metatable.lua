-- expect: any
return function(event)
  getmetatable(event).__index = nil
end
