-- expect: any
local tw = require "tidewire"

return function(_)
  local re = tw.regex "(?:(?:(?:){60000}){60000}){60000}[bc]"
  while true do
    pcall(re.test, re, "aaaa")
  end
end
