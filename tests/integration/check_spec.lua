package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

describe("tidewire check", function()
  local folder = command.folder_for_each {}

  local function check(script, text)
    folder:write(script, text)
    return folder:tidewire("check " .. script)
  end

  it("shows_the_tree_of_a_good_script_and_opens_nothing", function()
    local got = check(
      "good.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = {
          tw.processors.allowlist { "a" },
          { function() end, name = "careful", on_error = "dead_letter" },
        },
        route = function() return "video" end,
        backends = {
          archive = tw.backends.file { path = "out/archive.ndjson" },
          video = tw.router {
            processors = { { function() end, name = "geo", on_error = "drop" } },
            backends = { db = tw.backends.sqlite { path = "video.db" } },
          },
        },
      }]]
    )
    assert.equal(0, got.status)
    assert.equal("", got.err)
    assert.equal(
      [[
good.lua: ok
  processor allowlist (on error: drop)
  processor careful (on error: dead letter)
  route
  archive: file
  video: router
    processor geo (on error: drop)
    db: sqlite
]],
      got.out
    )
    assert.is_nil(folder:read "video.db")
    assert.is_nil(folder:read "out/archive.ndjson")
  end)

  it("says_that_there_is_no_host_to_offer_anything", function()
    local got = check("host.lua", 'local tw = require "tidewire"\nlocal db = tw.backends.host "orders"')
    assert.equal(78, got.status)
    assert.matches('host.lua:2: backends.host "orders": no host offers anything here', got.err, 1, true)
  end)

  it("says_nothing_when_quiet", function()
    folder:write("good.lua", command.copy)
    local got = folder:tidewire "check --quiet good.lua"
    assert.equal(0, got.status)
    assert.equal("", got.out .. got.err)
  end)

  it("tells_file_line_and_message_of_what_is_wrong", function()
    local head = 'local tw = require "tidewire"\nreturn tw.router {\n'
    local wrong = {
      { "return (\n", "bad.lua:2: " },
      { "error 'stop'\n", "bad.lua:1: stop" },
      { "return 7\n", "bad.lua:" },
      { head .. "  backends = { out = tw.backends.file { pth = 'x' } },\n}\n", 'bad.lua:3: .*pth.*mean "path"' },
      { head .. "  processors = { tw.processors.regex_filter { allow = { '(' } } },\n}\n", "bad.lua:3: .*%(" },
      { head .. "  processors = { 7 },\n}\n", "bad.lua:.*processors%[1%]" },
      { head .. "  backends = { out = {} },\n}\n", "bad.lua:.*out" },
      { 'require "no.such.module"\n', "bad.lua:1: .*no.such.module" },
      { head .. "  processors = { tw.processors.redacted {} },\n}\n", "bad.lua:3: .*redacted.*mean 'redact'" },
      { head .. "  engine = { worker = 2 },\n}\n", 'bad.lua: .*worker.*mean "workers"' },
      { "local f = io.open 'x'\n", "bad.lua:1: .*'io'.*%-%-grant io" },
      { "local t = {}\nwhile true do\n  t[#t + 1] = ('x'):rep(2^20) .. #t\nend\n", "bad.lua: out of memory .* 64 MiB; .*%-%-memory%-limit" },
    }
    for i, case in ipairs(wrong) do
      local got = check("bad.lua", case[1])
      assert.equal(78, got.status, i)
      assert.equal("", got.out)
      assert.truthy(got.err:find("^" .. case[2]), i .. ": " .. got.err)
    end
  end)

  it("runs_the_tests_of_a_script_and_opens_nothing", function()
    local script = [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function(event) event.data.secret = nil end },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
        tests = { { "hides the secret", given = { data = { secret = 1 } }, expect = { data = %s } } },
      }]]
    assert.equal(0, check("good.lua", script:format "{}").status)
    local got = check("bad.lua", script:format "{ a = 1 }")
    assert.equal(78, got.status)
    assert.matches("^bad.lua: test 1 'hides the secret': out: data.a: ", got.err)
    assert.is_nil(folder:read "out.ndjson")
  end)

  it("looks_at_every_script_and_tells_each", function()
    folder:write("good.lua", command.copy)
    folder:write("bad.lua", "return (\n")
    local got = folder:tidewire "check bad.lua missing.lua good.lua"
    assert.equal(78, got.status)
    assert.truthy(got.out:find("good.lua: ok", 1, true))
    assert.truthy(got.err:find("bad.lua:2: ", 1, true))
    assert.truthy(got.err:find("missing.lua: ", 1, true))
  end)
end)
