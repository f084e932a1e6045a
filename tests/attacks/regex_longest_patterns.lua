-- expect: stopped after
local tw = require "tidewire"

return function(_)
  for i = 1, 1e6 do
    pcall(tw.regex, ("(?:[a-z]|é*+|\\d?)"):rep(1700) .. i, "iu")
  end
end
