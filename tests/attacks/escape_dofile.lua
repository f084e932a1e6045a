-- expect: 'dofile'
return function(_)
  dofile "/etc/passwd"
end
