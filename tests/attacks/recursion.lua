-- expect: any
return function(_)
  local function f() return 1 + f() end f()
end
