-- expect: between 1 and 1000
return function(_)
  require("cjson").encode_max_depth(1e9)
end
