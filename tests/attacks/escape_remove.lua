-- expect: 'remove'
return function(_)
  os.remove "x"
end
