-- expect: module 'lfs' not found
return function(_)
  package.cpath = "/usr/lib/x86_64-linux-gnu/lua/5.4/?.so" return require "lfs"
end
