-- expect: any
local tw = require "tidewire"

return function(_)
  local re = tw.regex "(*NO_START_OPT)(?C1)(?:(?C'text')a*?)*+(*COMMIT)[bc](?C255)"
  while true do
    re:test(("a"):rep(1000))
  end
end
