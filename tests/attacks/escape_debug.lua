-- expect: 'debug'
return function(_)
  debug.getregistry()
end
