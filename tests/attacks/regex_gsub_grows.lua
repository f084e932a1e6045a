-- expect: any
local tw = require "tidewire"

return function(_)
  local text = "a"
  while true do
    text = tw.regex("a"):gsub(text, ("$0"):rep(1000))
  end
end
