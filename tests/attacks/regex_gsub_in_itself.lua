-- expect: C stack overflow
local tw = require "tidewire"

return function(_)
  local re = tw.regex "(a)(b)?"
  local function again(a)
    return (re:gsub(a, again))
  end
  again "a"
end
