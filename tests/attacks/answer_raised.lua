-- expect: not a backend's
local tw = require "tidewire"
return function()
  error(tw.permanent("not a backend's", math.maxinteger))
end
