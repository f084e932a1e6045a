-- expect: module 'debug' not found
return function(_)
  return require "debug"
end
