-- expect: any
local tw = require "tidewire"

return function(_)
  tw.regex("(?:(?:(?:a{1000}){1000}){1000}){1000}"):match(("a"):rep(100000))
end
