-- The types in meta/ have the same names as the module.
local tw = require "tidewire"
local meta = assert(loadfile "lua/tidewire/meta/tidewire.lua")()

local function keys(t)
  local found = {}
  for key in pairs(t) do
    if tostring(key):sub(1, 1) ~= "_" then
      found[#found + 1] = key
    end
  end
  table.sort(found)
  return found
end

describe("the types", function()
  it("name what the module holds", function()
    assert.are.same(keys(tw), keys(meta))
  end)

  it("name the processors", function()
    local stubs = assert(loadfile "lua/tidewire/meta/processors.lua")()
    assert.are.same(keys(tw.processors), keys(stubs))
  end)

  for _, part in ipairs { "backends", "locators" } do
    it("name what " .. part .. " holds", function()
      assert.are.same(keys(tw[part]), keys(meta[part]))
    end)
  end

  it("name the methods of a regex", function()
    local re = tw.regex "a"
    for name in pairs(assert(loadfile "lua/tidewire/meta/regex.lua")()) do
      assert.is_function(re[name], name)
    end
  end)

  it("know every method of the classes", function()
    local core = require "tidewire.core"
    for class, stub in pairs(meta._classes) do
      local real = core[class] and core[class].methods
      for name in pairs(real or {}) do
        assert.is_function(stub[name], class .. ":" .. name .. " has no type")
      end
      for name in pairs(real and stub or {}) do
        assert.is_function(real[name], class .. ":" .. name .. " does not exist")
      end
    end
  end)

  for _, page in ipairs { "tidewire", "processors", "regex", "path", "testing" } do
    it("say of every function in " .. page .. " what it does", function()
      local said = false
      for line in io.lines("lua/tidewire/meta/" .. page .. ".lua") do
        local name = line:match "^function ([%w_.:]+)"
        assert.is_true(not name or said, tostring(name) .. " has no sentence")
        said = line:find "^%-%-%- %S" ~= nil or said and line:find "^%-%-%-" ~= nil
      end
    end)
  end
end)
