-- expect: not enough memory
return function(_)
  return require("cjson").decode("[" .. ("[],"):rep(1000000) .. "1]")
end
