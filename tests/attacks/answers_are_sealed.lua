-- expect: ok
-- What a backend answers is made by three functions, and cannot be changed or told from outside.
local tw = require "tidewire"
return function()
  for _, answer in ipairs { tw.permanent(("x"):rep(100000), 1 << 62), tw.retry("y", { after = 0 }), tw.disabled "z" } do
    assert(getmetatable(answer) == false)
    assert(not pcall(setmetatable, answer, {}))
    assert(not pcall(rawset, answer, 1, 2))
    assert(not pcall(next, answer))
    assert(not pcall(function()
      answer.status = 1
    end))
    assert(select(2, pcall(error, answer)) == answer)
    assert(not pcall(setmetatable, {}, getmetatable(answer)))
  end
end
