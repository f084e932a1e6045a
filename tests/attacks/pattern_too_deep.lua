-- expect: pattern too complex
return function(_)
  return (("a"):rep(300)):find(("(a"):rep(30) .. ("a?"):rep(300) .. (")"):rep(30))
end
