package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

-- Real logs that may stand beside the project; their README counts their lines.
local data = "../shared/data"

local function table_of_logs()
  local logs = {}
  local readme = io.open(data .. "/README.md")
  if not readme then return logs end
  for line in readme:lines() do
    local name, objects, others, blank = line:match "^| (%S+) | (%d+) | (%d+) | (%d+) |$"
    if name then logs[#logs + 1] = { name, tonumber(objects), tonumber(others), tonumber(blank) } end
  end
  readme:close()
  return logs
end

describe("what no script edits", function()
  local folder = command.folder_for_each { ["copy.lua"] = command.copy }

  for _, log in ipairs(table_of_logs()) do
    local name, objects, others, blank = table.unpack(log)
    it("comes_out_byte_for_byte_and_is_accounted_for_" .. name, function()
      local file = assert(io.open(data .. "/" .. name, "rb"))
      local text = file:read "a"
      file:close()
      local expected = {}
      for line in text:gmatch "[^\n]+" do
        if line:find "^%s*{" then expected[#expected + 1] = line:match "^%s*(.-)%s*$" end
      end
      local got = folder:tidewire("run --json copy.lua", text)
      assert.equal(0, got.status)
      assert.equal(objects, got.summary.routed)
      assert.equal(others, got.summary.rejected)
      assert.equal(blank, got.summary.blank)
      assert.equal(0, got.summary.dropped)
      assert.equal(got.summary.read, got.summary.routed + got.summary.dropped + got.summary.rejected)
      assert.equal(#text, got.summary.bytes)
      assert.is_true(table.concat(expected, "\n") .. "\n" == folder:read "out.ndjson")
    end)
  end

  it("keeps_number_texts_key_order_escapes_and_empty_containers", function()
    local lines = {
      '{"big":123456789012345678901234567890,"f":1.0,"e":1E+2,"z":-0,"m":9007199254740993}',
      '{"z":{},"a":[],"z":{"dup":[1 , 2]},"s":"\\u00e9\\/\\ud83d\\ude00é\\u0000","n":null}',
      '{ "spaced" : [ true , false ] }',
      '{"\\u0061":"key","":{"":""}}',
      "{}",
    }
    folder:tidewire("run copy.lua", table.concat(lines, "\n"))
    assert.equal(table.concat(lines, "\n") .. "\n", folder:read "out.ndjson")
  end)

  it("stays_exact_beside_an_edit", function()
    folder:write(
      "edit.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function(event) event.host = "h1" end },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      }]]
    )
    folder:tidewire("run edit.lua", '{"n":123456789012345678901,"f":5.0,"a":[],"o":{}}\n')
    assert.equal('{"n":123456789012345678901,"f":5.0,"a":[],"o":{},"host":"h1"}\n', folder:read "out.ndjson")
  end)

  it("survives_blocks_that_cut_lines_anywhere", function()
    local lines = {}
    for n = 1, 3000 do lines[n] = ('{"n":%d,"pad":"%s"}'):format(n, ("p"):rep(n * 7 % 997)) end
    folder:write("in", table.concat(lines, "\n") .. "\n")
    local status = folder:shell("dd if=in bs=1013 status=none | " .. command.words "run copy.lua")
    assert.equal(0, status)
    assert.is_true(folder:read "in" == folder:read "out.ndjson")
  end)
end)
