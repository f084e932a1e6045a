-- expect: any
return function(_)
  local t = {} for _ = 1, 100000 do t = { t } end require("cjson").encode(t)
end
