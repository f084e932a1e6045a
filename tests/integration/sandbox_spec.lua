-- The command's options for what a script may do.
package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

describe("a sandboxed script", function()
  local folder = command.folder_for_each {}

  local function run(options, script)
    folder:write("main.lua", 'local tw = require "tidewire"\n' .. script)
    return folder:tidewire("run --quiet " .. options .. " main.lua", '{"name":"a"}\n')
  end

  local function with(body)
    return "return tw.router { processors = { { function(event) "
      .. body
      .. ' end, on_error = "drop" } }, backends = { out = tw.backends.file { path = "out" } } }'
  end

  it("gets_only_what_is_granted", function()
    assert.matches("'io'", run("", with "io.write ''").err)
    assert.equal("", run("--grant io,os", with "io.write '' os.tmpname()").err)
  end)

  it("gets_lpeg_where_it_is_installed_and_granted", function()
    local installed = pcall(require, "lpeg")
    local tell = with "error(tostring((pcall(require, 'lpeg'))))"
    assert.matches(": " .. tostring(installed), run("--grant lpeg", tell).err)
    assert.matches(": false", run("", tell).err)
  end)

  it("is_stopped_at_its_limits", function()
    local loop = with "while true do end"
    assert.matches("main.lua:2: stopped after 5000 instructions", run("--instruction-limit 5000", loop).err)
    assert.matches("stopped after 0.05 s", run("--instruction-limit none --time-limit 50ms", loop).err)
    local grow = with "local s = 'x' while true do s = s .. s end"
    assert.matches("may hold 2 MiB; .*raise %-%-memory%-limit", run("--memory-limit 2MiB", grow).err)
  end)

  it("is_stopped_while_it_loads", function()
    local got = run("--instruction-limit 5000", "while true do end")
    assert.equal(78, got.status)
    assert.matches("main.lua:2: stopped after 50000 instructions while loading; ", got.err)
  end)

  it("is_told_what_is_wrong_with_an_option", function()
    for option, message in pairs {
      ["--grant ios"] = 'nothing called "ios" can be granted',
      ["--memory-limit 1k"] = "must be 1MiB or more",
      ["--instruction-limit x"] = "must be 1000 or more",
      ["--time-limit 1x"] = "must be 1ms or more",
    } do
      local got = run(option, with "")
      assert.equal(64, got.status)
      assert.truthy(got.err:find(message, 1, true), got.err)
    end
  end)

  -- Or events could bring keys that collide in any table.
  it("hashes_with_a_seed_that_differs_from_run_to_run", function()
    local body = "local t = {} for i = 1, 40 do t['k' .. i] = i end "
      .. "local order = {} for k in pairs(t) do order[#order + 1] = k end error(table.concat(order), 0)"
    local seen, orders = {}, 0
    for _ = 1, 6 do
      local order = run("", with(body)).err:match "k%d[k%d]+"
      assert.equal(40, select(2, order:gsub("k", "")))
      orders = orders + (seen[order] and 0 or 1)
      seen[order] = true
    end
    assert.is_true(orders > 1)
  end)
end)
