-- expect: stopped after
local tw = require "tidewire"

return function(_)
  for i = 1, 1e6 do
    tw.regex("^edx\\.(\\w+)" .. i)
  end
end
