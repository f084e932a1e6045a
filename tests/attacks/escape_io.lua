-- expect: 'io'
return function(_)
  return io.open "/etc/passwd"
end
