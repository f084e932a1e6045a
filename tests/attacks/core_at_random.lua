-- expect: any
-- Calls what the library's files are made of at random, and its methods, with what it has made
-- before and with what fits nowhere.
return function(event)
  local core, tw = require "tidewire.core", require "tidewire"
  local seed = event.seed or 1
  math.randomseed(seed, 0)

  local values = {
    0, 1, -1, 1.5, 0 / 0, math.maxinteger, math.mininteger, 2 ^ 53, "", "a", "a\0b", "null",
    ("x"):rep(300), "{}", '{"name":"a"}', "[1]", "$", "a.b[*]", true, false, ipairs, error,
    coroutine.create(next), tw.null, event, event.seed, tw.array {}, tw.regex "(a)", {},
    { 1, 2 }, { {} }, { a = 1 }, { name = "a" }, { get = next }, { send = next }, { "a", {} },
    setmetatable({}, { __index = error, __len = error, __name = "x", __call = next }),
  }
  local calls = {}
  local function add_all(t)
    local names = {}
    for name in pairs(t) do
      names[#names + 1] = name
    end
    table.sort(names) -- so that a seed always does the same
    for _, name in ipairs(names) do
      if type(t[name]) == "function" then
        calls[#calls + 1] = t[name]
      elseif type(t[name]) == "table" and name ~= "__index" then
        add_all(t[name])
      end
    end
  end
  add_all(core)
  for _, name in ipairs { "event", "decode", "encode", "split", "array", "totable", "regex", "parse_time", "format_time", "permanent", "retry", "disabled", "priority", "set_priority" } do
    calls[#calls + 1] = tw[name]
  end

  local function any()
    local value = values[math.random(#values + 1)] -- beyond the last: nil
    return value
  end

  local function keep(ok, ...)
    for i = 1, ok and select("#", ...) or 0 do
      local value = select(i, ...)
      if value ~= nil then
        values[#values < 200 and #values + 1 or math.random(40, 200)] = value
      end
    end
  end

  for _ = 1, 3000 do
    local f = calls[math.random(#calls)]
    keep(pcall(f, table.unpack({ any(), any(), any(), any(), any() }, 1, math.random(0, 5))))
  end
end
