-- expect: any
return function(_)
  local function h() error "again" end xpcall(error, h)
end
