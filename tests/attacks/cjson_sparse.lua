-- expect: expected integer between 1 and 10
return function(_)
  local cjson = require "cjson"
  cjson.encode_sparse_array(false, 0)
  cjson.encode { [1 << 30] = 1 }
end
