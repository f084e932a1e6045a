-- expect: stopped after
local tw = require "tidewire"

return function(_)
  local re, text = tw.regex "(a+)+$", ("a"):rep(100) .. "b"
  while true do
    pcall(re.match, re, text)
  end
end
