-- Stacks of contexts on their own.
local tw = require "tidewire"

describe("a context", function()
  it("unites what was entered", function()
    local context = tw.context()
    context:enter("a", { x = 1, big = 2 ^ 53 | 0 })
    context:enter("b", { x = 2.0 })
    local all = context:resolve()
    assert.are.equal("float", math.type(all.x))
    assert.are.equal(9007199254740992, all.big)
  end)

  it("keeps lists and null", function()
    local context = tw.context()
    context:enter("a", { list = { 1, 2 }, empty = tw.array {}, none = tw.null })
    assert.are.equal('{"list":[1,2],"empty":[],"none":null}', (function()
      local all = context:resolve()
      return ('{"list":%s,"empty":%s,"none":%s}'):format(
        tw.encode(all.list),
        tw.encode(all.empty),
        tw.encode(all.none)
      )
    end)())
  end)

  it("takes no fields as none", function()
    local context = tw.context()
    assert.is_true(context:enter "a")
    assert.are.same({}, context:resolve())
  end)

  it("copies itself", function()
    local context = tw.context()
    context:enter("a", { x = 1 })
    local copy = context:copy()
    copy:enter("b", { y = 2 })
    assert.are.same({ x = 1 }, context:resolve())
    assert.are.same({ x = 1, y = 2 }, copy:resolve())
  end)

  it("shows contexts that are not hidden, in order", function()
    local context = tw.context()
    context:enter("a", { n = 1 })
    context:enter("b", { n = 2 })
    context:enter("a", { n = 3 })
    local seen = {}
    for name, fields in pairs(context) do
      seen[#seen + 1] = name .. fields.n
    end
    assert.are.same({ "b2", "a3" }, seen)
  end)

  it("raises when a name is left that was not entered", function()
    assert.has_error(function()
      tw.context():exit "a"
    end)
  end)
end)
