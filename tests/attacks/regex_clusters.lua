-- expect: \X, which is matched with at most 16384 bytes
local tw = require "tidewire"

return function(_)
  return tw.regex("\\X*"):match(("\u{1F1E6}"):rep(250000))
end
