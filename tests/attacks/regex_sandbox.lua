-- expect: ok
local tw = require "tidewire"

return function(_)
  local re = tw.regex "a"
  assert(getmetatable(re) == false)
  assert(not pcall(setmetatable, re, {}))
  assert(not pcall(function()
    re.match = print
  end))
  assert(re.__gc == nil and re.__index == nil and re[1] == nil)
  for _, other in ipairs { 1, "a", {}, coroutine.create(print), tw.path "a", tw } do
    assert(not pcall(re.match, other, "a"))
  end
end
