-- expect: 'execute'
return function(_)
  return os.execute "true"
end
