package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

describe("a signal", function()
  local folder = command.folder_for_each { ["copy.lua"] = command.copy }

  -- Feeds two lines and half of a third through a pipe that stays open, then signals.
  local function stop(name)
    local status, _, err = folder:shell(
      command.wait_for
        .. "mkfifo pipe; "
        .. command.words "run --json copy.lua <pipe"
        .. " & pid=$!; exec 3>pipe; printf '{\"n\":1}\\n{\"n\":2}\\n{\"n\"' >&3; "
        .. "wait_for '[ -s out.ndjson ]'; kill -"
        .. name
        .. " $pid; wait $pid"
    )
    return status, command.summary(err)
  end

  for _, name in ipairs { "INT", "TERM" } do
    it(name .. "_ends_a_waiting_run_in_order", function()
      local status, summary = stop(name)
      assert.equal(0, status)
      assert.is_true(summary.interrupted)
      assert.equal(2, summary.routed)
      assert.equal(summary.read, summary.routed + summary.dropped + summary.rejected)
      assert.equal('{"n":1}\n{"n":2}\n', folder:read "out.ndjson")
    end)
  end

  it("ends_a_run_in_order_that_waits_for_the_writer_of_a_pipe", function()
    local status, _, err = folder:shell(
      "mkfifo pipe; " .. command.words "run --json copy.lua pipe" .. " & pid=$!; sleep 0.7; kill -TERM $pid; wait $pid"
    )
    local summary = command.summary(err)
    assert.equal(0, status)
    assert.is_true(summary.interrupted)
    assert.equal(0, summary.read)
  end)

  it("ends_a_busy_run_with_whole_lines", function()
    folder:write("block", ('{"n":1}\n'):rep(20000))
    local status, _, err = folder:shell(
      command.wait_for
        .. "mkfifo pipe; { while cat block; do :; done; } >pipe 2>/dev/null & feeder=$!; "
        .. command.words "run --json copy.lua <pipe"
        .. " & pid=$!; wait_for '[ -s out.ndjson ]'; kill -TERM $pid; wait $pid; status=$?; "
        .. "kill $feeder 2>/dev/null; wait $feeder; exit $status"
    )
    local summary = command.summary(err)
    assert.equal(0, status)
    assert.is_true(summary.interrupted)
    assert.equal(summary.routed, summary.backends[1].sent)
    assert.equal(('{"n":1}\n'):rep(summary.routed), folder:read "out.ndjson")
  end)

  it("sent_twice_ends_a_script_that_hangs", function()
    folder:write(
      "hang.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function()
          local mark = assert(io and io.open and io.open("hanging", "w") or true)
          if mark ~= true then mark:close() end
          while true do end
        end },
        backends = { out = tw.backends.null {} },
      }]]
    )
    local status = folder:shell(
      "echo '{\"n\":1}' >in; "
        .. command.words "run --instruction-limit none --time-limit none hang.lua in"
        .. " & pid=$!; sleep 0.5; kill -TERM $pid; sleep 0.2; kill -0 $pid || exit 99; kill -TERM $pid; wait $pid"
    )
    assert.equal(128 + 15, status)
  end)
end)
