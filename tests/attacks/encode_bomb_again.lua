-- expect: stopped after
-- slow: stopped after
return function(_)
  local t = {} for _ = 1, 60 do t = { t, t } end while true do pcall(require("tidewire").encode, t) end
end
