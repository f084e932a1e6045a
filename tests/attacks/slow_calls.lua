-- expect: stopped after
return function(_)
  local s = ("x"):rep(4000000) while true do s:upper() end
end
