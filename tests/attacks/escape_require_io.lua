-- expect: module 'io' not found
return function(_)
  return require "io"
end
