-- expect: attempt to yield across a C-call boundary
local tw = require "tidewire"

return function(_)
  local re = tw.regex "a"
  local co = coroutine.create(function()
    re:gsub("aaa", coroutine.yield)
  end)
  assert(coroutine.resume(co))
end
