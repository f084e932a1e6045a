package.path = "tests/integration/?.lua;" .. package.path
local cjson = require "cjson"
local command = require "command"

-- What a run leaves in a spool, and what random damage does to it: tests/unit/delivery and
-- tests/unit/app/spool_command_test.c. Here are the folder and the files around it.
describe("a spool", function()
  local folder = command.folder_for_each {}

  -- A file that holds nothing of a spool is repaired to one that is empty.
  local function make_empty()
    folder:shell "mkdir -m 700 spool"
    folder:write("spool/data.mdb", ("x"):rep(10000))
    return folder:tidewire "spool repair spool"
  end

  it("is made anew of a file that has nothing of one, which stays", function()
    local result = make_empty()
    assert.equal(0, result.status)
    assert.match("neither meta page can be read: the trees are lost", result.err)
    local name = result.out:match "the damaged file is (spool/data%.mdb%.damaged%-[%dT:-]+Z)\n"
    assert.equal(("x"):rep(10000), folder:read(name))
    assert.equal(0, folder:tidewire("spool verify spool").status)
  end)

  it("is told of as JSON", function()
    make_empty()
    local result = folder:tidewire "spool inspect --json spool"
    assert.equal(0, result.status)
    local found = cjson.decode(result.out)
    assert.same({}, found.outboxes)
    assert.same({ events = 0, bytes = 0 }, found.dead)
    assert.equal(cjson.null, found.owner)
    assert.equal("spool", found.folder)
  end)

  it("is for its owner's eyes alone", function()
    make_empty()
    local _, out = folder:shell "stat -c %a spool/data.mdb spool/owner"
    assert.equal("600\n600\n", out)
  end)

  it("is not made where there is none", function()
    for _, what in ipairs { "inspect", "verify", "export", "repair", "drop --all --yes" } do
      local result = folder:tidewire("spool " .. what .. " none")
      assert.equal(66, result.status)
      assert.equal(("tidewire: spool %s: none: there is no spool\n"):format(what:match "^%a+"), result.err)
    end
    assert.equal(0, (folder:shell "[ ! -e none ]"))
  end)

  it("is refused when its file was cut", function()
    make_empty()
    folder:shell "truncate -s 5000 spool/data.mdb"
    local result = folder:tidewire "spool inspect spool"
    assert.equal(65, result.status)
    assert.match("the spool is damaged; run tidewire spool repair spool\n$", result.err)
    assert.equal("", result.out)
  end)

  it("has no output that is lost when nobody can take it", function()
    make_empty()
    local status = folder:shell(command.words "spool inspect spool" .. " >/dev/full")
    assert.equal(74, status)
  end)

  it("has help", function()
    local result = folder:tidewire "help spool"
    assert.equal(0, result.status)
    for line in result.out:gmatch "[^\n]+" do
      assert.is_true(#line <= 80, line)
    end
    assert.equal(result.out, folder:tidewire("spool --help").out)
    assert.match('did you mean "spool"', folder:tidewire("spol").err)
  end)
end)
