-- expect: stopped after
local tw = require "tidewire"

return function(_)
  local re, text = tw.regex "x*", ("a"):rep(1000000)
  while true do
    re:gsub(text, "")
  end
end
