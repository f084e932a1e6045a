-- expect: out of memory
return function(_)
  local s = "x" while true do s = s .. s end
end
