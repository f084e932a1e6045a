-- expect: too long
return function(_)
  local t = {} for _ = 1, 60 do t = { t, t } end require("cjson").encode(t)
end
