-- expect: stopped after
return function(_)
  local function deep(n) if n == 0 then while true do end end local co = coroutine.create(deep) while true do coroutine.resume(co, n - 1) end end deep(20)
end
