-- expect: any
return function(_)
  local function f() return pcall(f) end f()
end
