-- expect: 'loadfile'
return function(_)
  loadfile "/etc/passwd"
end
