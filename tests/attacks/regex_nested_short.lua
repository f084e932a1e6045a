-- expect: stopped after
local tw = require "tidewire"

-- Each match is ended by the limit of short texts, and then again by that of all.
return function(_)
  local re = tw.regex "(?:a?){20}(?:a?){20}(?:a?){20}[bc]"
  for n = 1, 1e9 do
    pcall(re.test, re, ("a"):rep(n % 400))
  end
end
