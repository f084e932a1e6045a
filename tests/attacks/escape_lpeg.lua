-- expect: ok
return function(_)
  assert(not pcall(require, "lpeg"))
  assert(package.cpath == nil and package.searchers == nil)
end
