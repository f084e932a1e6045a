-- expect: 'exit'
return function(_)
  os.exit(1)
end
