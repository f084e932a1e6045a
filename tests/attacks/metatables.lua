-- expect: ok
-- No metatable of the library's is within reach: not by what it makes, nor by what it is.
return function(event)
  local tw = require "tidewire"
  local seen = {}

  local function look(value, way)
    if type(value) ~= "table" and type(value) ~= "userdata" or seen[value] then
      return
    end
    seen[value] = true
    assert(type(getmetatable(value)) ~= "table", way)
    if type(value) == "table" then
      for key, field in next, value do
        look(field, way .. "." .. tostring(key))
      end
    end
  end

  look(tw, "tidewire")
  for name, module in pairs(package.loaded) do
    if name:find "^tidewire" then
      look(module, name)
    end
  end
  local context = tw.context()
  local made = {
    processor = tw.processors.sample { rate = 1 },
    filter = tw.processors.regex_filter { allow = { "a" } },
    lua_processor = tw.processors.dedup {},
    backend = tw.backends.null {},
    router = tw.router {},
    tracker = tw.tracker {},
    context = context,
    timer = tw.after(1000, print),
    locator = tw.locators.thread_local(),
    coroutines = tw.locators.per_coroutine and tw.locators.per_coroutine(),
    regex = tw.regex "a",
    event = event,
    owned = tw.event "{}",
    array = tw.array {},
    pieces = tw.split { event },
    state = tw.state "s",
    shared = tw.shared "s",
    answer = tw.permanent "no",
    clock = require("tidewire.testing").clock(),
    text = "",
  }
  for what, value in pairs(made) do
    look(value, what)
    assert(not pcall(setmetatable, value, {}) or getmetatable(value) == nil or type(value) == "table", what)
  end
  made.clock:close()
  made.timer:cancel()
end
