-- expect: stopped after
local tw = require "tidewire"

return function(_)
  local re, text = tw.regex "[bc]", ("a"):rep(4000000)
  while true do
    re:test(text)
  end
end
