-- expect: stopped after
return function(_)
  local t = {} for _ = 1, 60 do t = { t, t } end require("tidewire").encode(t)
end
