-- expect: stopped after
return function(_)
  ("a"):rep(100000):gsub("(b*)", ("%1"):rep(1000000))
end
