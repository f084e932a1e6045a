-- damage.lua SEED COUNT: made-up events, one in ten damaged, to standard output.
math.randomseed(tonumber(arg[1]))

local function event(n)
  return ('{"n": %d, "name": "soak.%d", "data": {"text": "%s", "big": %d%d, "list": [1, 2.50, {}, []]}}')
    :format(n, n % 9, ("x"):rep(math.random(0, 300)), n, math.random(1 << 40))
end

local damages = {
  function(line) return line:sub(1, math.random(0, #line)) end,
  function(line)
    local at = math.random(#line)
    return line:sub(1, at - 1) .. string.char(math.random(0, 255)) .. line:sub(at + 1)
  end,
  function() return "" end,
  function() return "# a comment" end,
  function(line) return line .. line end,
  function() return ("["):rep(500) end,
}

for n = 1, tonumber(arg[2]) do
  local line = event(n)
  if math.random(10) == 1 then line = damages[math.random(#damages)](line) end
  io.write(line, "\n")
end
