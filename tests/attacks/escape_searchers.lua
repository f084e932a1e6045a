-- expect: any
return function(_)
  package.searchers[2] = nil
end
