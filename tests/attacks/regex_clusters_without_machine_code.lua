-- expect: any
local tw = require "tidewire"

return function(_)
  local re, text = tw.regex "(*NO_JIT)\\X*z?", ("\u{1F1E6}"):rep(4096)
  while true do
    re:test(text)
  end
end
