-- expect: stopped after
return function(_)
  return (("("):rep(200000)):gsub("%b()", "")
end
