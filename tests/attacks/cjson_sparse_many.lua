-- expect: the text would be too long
return function(_)
  local cjson, rows = require "cjson", {}
  cjson.encode_sparse_array(false, 10, 1000)
  for i = 1, 10000 do rows[i] = { [1000] = 1 } end
  cjson.encode(rows)
end
