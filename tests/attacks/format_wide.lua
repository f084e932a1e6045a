-- expect: invalid conversion
return function(_)
  return ("%99999999d"):format(1)
end
