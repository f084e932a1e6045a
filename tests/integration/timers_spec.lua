package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

describe("a script's timers", function()
  local folder = command.folder_for_each {}

  it("run_while_the_input_rests_and_what_they_emit_is_written_at_once", function()
    folder:write(
      "ticks.lua",
      [[
      local tw = require "tidewire"
      tw.every(0.05, function() tw.emit "tick" end)
      return tw.router { backends = { out = tw.backends.file { path = "out.ndjson" } } }]]
    )
    local status = folder:shell(
      command.wait_for
        .. "mkfifo pipe; "
        .. command.words "run --quiet ticks.lua <pipe"
        .. " & pid=$!; exec 3>pipe; wait_for 'grep -c tick out.ndjson | grep -q \"^[3-9]\"'; "
        .. "exec 3>&-; wait $pid"
    )
    assert.equal(0, status)
    assert.is_true(#folder:records "out.ndjson" >= 3)
    assert.equal("tick", folder:records("out.ndjson")[1].name)
  end)

  it("are_told_of_when_they_fail_and_the_run_goes_on", function()
    folder:write(
      "fails.lua",
      [[
      local tw = require "tidewire"
      tw.on_close(function() error "broken at the end" end)
      return tw.router { backends = { out = tw.backends.file { path = "out.ndjson" } } }]]
    )
    local got = folder:tidewire("run --quiet fails.lua", '{"n":1}\n')
    assert.is_truthy(got.err:find("broken at the end", 1, true), got.err)
    assert.equal('{"n":1}\n', folder:read "out.ndjson")
  end)

  it("leave_nothing_behind_at_the_end_of_the_input", function()
    folder:write(
      "minutes.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { tw.processors.window { every = 60, compute = { sum = "n" }, keep = false } },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      }]]
    )
    local lines = {}
    for i = 0, 599 do
      lines[#lines + 1] = ('{"timestamp":"2026-01-01T00:%02d:%02dZ","n":%d}\n'):format(i // 60, i % 60, i)
    end
    local got = folder:tidewire("run --json minutes.lua", table.concat(lines))
    assert.equal(0, got.status)
    local sum, records = 0, folder:records "out.ndjson"
    for _, record in ipairs(records) do
      sum = sum + record.data.sum
    end
    assert.equal(10, #records)
    assert.equal(599 * 600 / 2, sum)
  end)
end)
