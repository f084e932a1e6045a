-- expect: stopped after
-- slow: longer than any event may be
return function(_)
  local t = {} for _ = 1, 60 do t = { t, t } end require("tidewire").encode(t)
end
