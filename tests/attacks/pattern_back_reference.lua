-- expect: stopped after
return function(_)
  return (("a"):rep(20000)):find("(a*)(a*)%1%2b")
end
