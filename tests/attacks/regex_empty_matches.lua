-- expect: stopped after
local tw = require "tidewire"

return function(_)
  local re, text = tw.regex "", ("a"):rep(1000000)
  while true do
    for _ in re:gmatch(text) do end
  end
end
