-- expect: 'dump'
return function(_)
  return string.dump(function() end)
end
