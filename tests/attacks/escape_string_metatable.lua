-- expect: any
return function(_)
  getmetatable("").__index = nil
end
