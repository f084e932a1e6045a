-- expect: 'loadlib'
return function(_)
  return package.loadlib("libc.so.6", "*")
end
