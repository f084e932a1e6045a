-- expect: too many coroutines are closed inside of each other
-- slow: stopped after
local function close(co)
  local ok, why = coroutine.close(co)
  if not ok then error(why, 0) end
end

return function(_)
  local last
  for _ = 1, 12000 do
    local inner = last
    last = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() if inner then close(inner) end end })
      coroutine.yield()
    end)
    coroutine.resume(last)
  end
  close(last)
end
