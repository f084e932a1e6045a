-- expect: module 'passwd' not found
return function(_)
  package.path = "/etc/?" return require "passwd"
end
