package.path = "tests/integration/?.lua;" .. package.path
local cjson = require "cjson"
local command = require "command"

-- A script that writes into each event by what it was processed.
local function marking(with, more)
  return ([[
local tw = require "tidewire"
%s
return tw.router {
  processors = { function(event) event.g, event.with = event.generation, %q end },
  backends = { out = tw.backends.file { path = "out.ndjson" } },
}
]]):format(more or "", with)
end

local BROKEN = 'local tw = require "tidewire"\n\nreturn tw.router {{\n'

describe("a run", function()
  local folder = command.folder_for_each { ["router.lua"] = marking "first" }

  -- Starts a run that reads a pipe, does what `body` says, closes the pipe and waits for it.
  -- In `body` the pipe is open as 3, and `reload` and `status` ask the run.
  -- Returns the status, what `body` printed, what the run printed, and its summary.
  local function during(options, body, script)
    local status, out, err = folder:shell(
      command.wait_for
        .. "reload() { "
        .. command.words "reload sock"
        .. "; }; status() { "
        .. command.words 'status "$@" sock'
        .. "; }; mkfifo pipe; "
        .. command.words("run --json --control sock " .. options .. " " .. (script or "router.lua"))
        .. " <pipe 2>run.err & pid=$!; exec 3>pipe; wait_for 'status --quiet 2>/dev/null'; "
        .. body
        .. "\nexec 3>&-; wait $pid"
    )
    local told = folder:read "run.err"
    assert.equal("", err)
    return status, out, told, command.summary(told)
  end

  -- Shell words that put another script in the place of the one that runs.
  local function replace(with)
    folder:write("next.lua", with)
    return "mv next.lua router.lua; "
  end

  local function wait_for_line(text) return ("wait_for 'grep -q \"%s\" run.err'; "):format(text) end

  local ONE = "echo '{\"n\":1}' >&3; wait_for '[ -s out.ndjson ]'; "
  local TWO = "echo '{\"n\":2}' >&3; "

  local function check_marks(...)
    local marks = {}
    for i, record in ipairs(folder:records "out.ndjson") do
      marks[i] = ("%s%d"):format(record.with, record.g)
    end
    assert.same({ ... }, marks)
  end

  it("is_reloaded_by_the_command_which_tells_the_outcome", function()
    local status, out, told, summary = during("", ONE .. replace(marking "second") .. "reload; echo $?; " .. TWO)
    assert.equal(0, status)
    assert.equal("generation 2 runs\n0\n", out)
    assert.is_truthy(told:find("tidewire: generation 2 runs\n", 1, true), told)
    check_marks("first1", "second2")
    assert.same({ 2, 1, 0 }, { summary.generation, summary.reloads, summary.refused })
  end)

  it("is_reloaded_by_a_change_of_the_file", function()
    local _, _, _, summary =
      during("--watch", ONE .. replace(marking "second") .. wait_for_line "generation 2 runs" .. TWO)
    check_marks("first1", "second2")
    assert.equal(1, summary.reloads)
  end)

  it("is_reloaded_by_sighup_while_its_input_rests", function()
    during("", ONE .. replace(marking "second") .. "kill -HUP $pid; " .. wait_for_line "generation 2 runs" .. TWO)
    check_marks("first1", "second2")
  end)

  it("goes_on_with_the_old_script_when_the_new_one_is_broken", function()
    local status, out, told, summary =
      during("", ONE .. replace(BROKEN) .. "reload 2>&1; echo $?; status --json; " .. TWO)
    local lines = {}
    for line in out:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.equal(0, status)
    assert.is_truthy(lines[1]:find "^router.lua:%d+: ", lines[1])
    assert.same({ "generation 1 goes on", "78" }, { lines[2], lines[3] })
    assert.is_truthy(told:find(lines[1] .. "; generation 1 goes on", 1, true), told)
    check_marks("first1", "first1")
    assert.same({ 1, 0, 1 }, { summary.generation, summary.reloads, summary.refused })
    local answer = cjson.decode(lines[4])
    assert.same({ lines[1], 1 }, { answer.refusal, answer.refused })
    assert.same({ path = "out", kind = "file", sent = 1, failed = 0, duplicate = 0 }, answer.backends[1])
  end)

  it("tells_its_status_in_a_table", function()
    local _, out = during("--workers 2", ONE .. "status")
    assert.is_truthy(out:find "^generation 1 of router.lua, process %d+, 2 workers, for %d+ s\n", out)
    assert.is_truthy(out:find "\n  received +1\n  processed +1\n  waiting +0\n  dropped +0\n  reloads +0\n", out)
    assert.is_truthy(out:find "\n  out %(file%) +1 +0\n", out)
  end)

  it("loses_and_doubles_nothing_in_fifty_reloads_under_load", function()
    folder:write("feed.lua", [[
      local n, enough = 0, io.open
      while not enough "enough" do
        for _ = 1, 200 do
          n = n + 1
          io.write('{"n":', n, ',"user":', n % 7, '}\n')
        end
        io.flush()
        os.execute "sleep 0.02"
      end
      io.open("fed", "w"):write(n)]])
    folder:write("odd.lua", marking "odd")
    folder:write("even.lua", marking "even")
    folder:write("router.lua", marking "odd")
    local status, out, told, summary = during(
      "--workers 2 --partition-by user",
      "lua5.4 feed.lua >&3 & feeder=$!; for i in $(seq 25); do for script in even odd; do "
        .. "cp $script.lua next.lua; mv next.lua router.lua; reload || exit 1; done; done; touch enough; wait $feeder"
    )
    assert.equal(0, status, told)
    assert.equal(50, select(2, out:gsub("generation %d+ runs\n", "")))
    assert.same({ 51, 50, 0 }, { summary.generation, summary.reloads, summary.refused })
    local fed, seen, last, generations = tonumber(folder:read "fed"), {}, {}, {}
    for _, record in ipairs(folder:records "out.ndjson") do
      assert.is_nil(seen[record.n])
      seen[record.n] = true
      assert.equal(record.g % 2 == 1 and "odd" or "even", record.with)
      assert.is_true(record.n > (last[record.user] or 0), "the order of a key is kept")
      last[record.user], generations[record.g] = record.n, true
    end
    assert.equal(fed, #seen)
    assert.equal(fed, summary.routed)
    local count = 0
    for _ in pairs(generations) do
      count = count + 1
    end
    assert.is_true(count > 10, "events flowed meanwhile")
  end)

  it("refuses_a_socket_where_another_run_listens_with_its_number", function()
    local status, out = during(
      "",
      command.words "run --control sock never-loaded.lua 2>&1 </dev/null; echo $?; echo $pid; status --quiet; echo $?"
    )
    local first, code, pid, alive = out:match "^([^\n]*)\n(%d+)\n(%d+)\n(%d+)\n$"
    assert.equal(
      ("tidewire: --control: sock: process %s listens here; end it, or choose another path"):format(pid),
      first
    )
    assert.same({ "69", "0" }, { code, alive })
    assert.equal(0, status)
  end)

  it("takes_the_socket_of_one_that_was_killed", function()
    local _, out = folder:shell(
      command.wait_for
        .. "mkfifo pipe; "
        .. command.words "run --control sock router.lua <pipe 2>run.err"
        .. " & pid=$!; exec 3>pipe; wait_for '[ -S sock ]'; kill -9 $pid; wait $pid; [ -S sock ] && echo stale; "
        .. command.words "reload sock 2>&1"
        .. "; echo $?"
    )
    assert.equal("stale\ntidewire: reload: sock: no daemon listens here (its process has died)\n69\n", out)
    os.remove(folder:file "pipe")
    local status = during("", ONE .. "status --quiet && [ $(stat -c %a sock) = 600 ] && touch good")
    assert.equal(0, status)
    assert.is_truthy(folder:read "good")
    assert.is_nil(os.rename(folder:file "sock", folder:file "socket")) -- gone with its run
  end)

  it("bears_sighup_while_it_starts_and_while_it_ends", function()
    local spin = "local t = os.clock() + 0.1; while os.clock() < t do end"
    folder:write(
      "router.lua",
      marking(
        "first",
        ('io.open("starts", "w"):close() %s tw.on_close(function() io.open("ends", "w"):close() %s end)'):format(
          spin,
          spin
        )
      )
    )
    local status, _, err = folder:shell(
      command.wait_for
        .. "mkfifo pipe; "
        .. command.words "run --json --grant io router.lua <pipe 2>run.err"
        .. " & pid=$!; exec 3>pipe; wait_for '[ -e starts ]'; kill -HUP $pid; "
        .. wait_for_line "generation 2 runs"
        .. ONE
        .. "rm ends; exec 3>&-; wait_for '[ -e ends ]'; kill -HUP $pid; wait $pid"
    )
    local summary = command.summary(folder:read "run.err")
    assert.equal("", err)
    assert.equal(0, status)
    assert.same({ 2, 1, 1 }, { summary.generation, summary.reloads, summary.routed })
  end)
end)

describe("the end of a run", function()
  local folder = command.folder_for_each {
    ["slow.lua"] = [[
local tw = require "tidewire"
return tw.router {
  processors = {
    function()
      io.open("begun", "w"):close()
      local t = os.clock() + 0.01
      while os.clock() < t do end
    end,
  },
  backends = { out = tw.backends.file { path = "out.ndjson" } },
}
]],
  }

  -- Feeds so many slow events, and sends SIGTERM when the first is being processed.
  local function stop(options, count)
    folder:write("input", ('{"n":1}\n'):rep(count))
    local status = folder:shell(
      command.wait_for
        .. "mkfifo pipe; "
        .. command.words("run --json --grant io " .. options .. " slow.lua <pipe 2>run.err")
        .. " & pid=$!; exec 3>pipe; cat input >&3; wait_for '[ -e begun ]'; kill -TERM $pid; wait $pid"
    )
    local told = folder:read "run.err"
    return status, command.summary(told), told
  end

  it("waits_for_all_that_was_read_unless_told_otherwise", function()
    local status, summary = stop("", 60)
    assert.equal(0, status)
    assert.same({ 60, 60, 0 }, { summary.read, summary.routed, summary.left })
  end)

  it("is_not_held_up_by_drain_when_nothing_is_left", function()
    local got = folder:tidewire("run --json --grant io --drain 1h slow.lua", '{"n":1}\n')
    assert.equal(0, got.status)
    assert.is_true(got.summary.seconds < 60)
  end)

  it("is_bounded_by_drain_and_what_was_not_processed_is_told", function()
    local status, summary, told = stop("--drain 200ms", 1000)
    assert.equal(74, status)
    assert.is_true(summary.left > 0 and summary.routed > 0)
    assert.equal(summary.read, summary.routed + summary.dropped + summary.rejected + summary.left)
    assert.is_true(summary.seconds < 10)
    assert.is_truthy(
      told:find(("tidewire: %d events were not processed: the time of --drain was over\n"):format(summary.left), 1, true),
      told
    )
  end)
end)

describe("tidewire reload and status", function()
  local folder = command.folder_for_each { ["router.lua"] = command.copy }

  it("say_that_no_daemon_is_there", function()
    for _, name in ipairs { "reload", "status" } do
      local got = folder:tidewire(name .. " nowhere")
      assert.equal(69, got.status)
      assert.equal("", got.out)
      assert.equal(("tidewire: %s: nowhere: no daemon listens here (there is no such socket)\n"):format(name), got.err)
    end
  end)

  it("have_a_help_that_tells_their_exit_statuses", function()
    for _, name in ipairs { "reload", "status" } do
      local got = folder:tidewire(name .. " --help")
      assert.equal(0, got.status)
      assert.is_truthy(got.out:find("Usage: tidewire " .. name .. " [OPTION...] SOCKET\n", 1, true))
      assert.is_truthy(got.out:find("69 no daemon is there", 1, true))
      assert.equal(got.out, folder:tidewire("help " .. name).out)
    end
  end)

  it("are_told_apart_from_wrong_usage", function()
    for arguments, message in pairs {
      ["reload"] = "reload: no socket given; see tidewire reload --help",
      ["status a b"] = 'status: one socket at a time, not also "b"',
      ["statu a"] = 'unknown command "statu"; did you mean "status"?',
      ["run --workers 0 router.lua"] = 'run: --workers must be 1 to 64, not "0"',
      ["run --workers=65 router.lua"] = 'run: --workers must be 1 to 64, not "65"',
      ["run --drain soon router.lua"] = 'run: --drain must be a time up to 24h, such as 10s or 500ms, or none, not "soon"',
      ["run --control " .. ("x"):rep(108) .. " router.lua"] = "--control: "
        .. ("x"):rep(108)
        .. ": too long for a socket: 108 bytes, of 107 at most; choose a shorter path, or one from the current folder",
    } do
      local got = folder:tidewire(arguments)
      assert.equal("tidewire: " .. message .. "\n", got.err)
      assert.equal(64, got.status)
    end
  end)
end)

describe("tidewire status", function()
  local folder = command.folder_for_each { ["router.lua"] = command.copy }

  it("tells_what_a_file_is_that_is_no_socket", function()
    local got = folder:tidewire "status router.lua"
    assert.equal(69, got.status)
    assert.equal(
      "tidewire: status: router.lua: this is no socket; name the one that the run has after --control\n",
      got.err
    )
  end)
end)

describe("README.md", function()
  local folder = command.folder_for_each {}

  -- The first fenced block of a language behind a heading.
  local function block(heading, language)
    local file = assert(io.open "README.md")
    local text = file:read "a"
    file:close()
    local _, from = text:find("\n## " .. heading .. "\n", 1, true)
    return assert(text:match("\n```" .. language .. "\n(.-)```", from))
  end

  it("tells_how_to_change_a_script_in_commands_that_work", function()
    folder:write("shop.lua", assert(io.open("README.md"):read("a"):match "`shop.lua`:\n\n```lua\n(.-)```"))
    folder:write("run.sh", block("Changing a script while it runs", "sh"))
    folder:write("tidewire", "#!/bin/sh\nexec " .. command.words '"$@"')
    local _, out, err = folder:shell "chmod +x tidewire; PATH=$PWD:$PATH\n. ./run.sh\ncat out/*.ndjson"
    assert.is_truthy(out:find("^generation 1 of shop.lua, process %d+, 1 worker"), out .. err)
    assert.is_truthy(out:find("\ngeneration 2 runs\nrefused: 78\n", 1, true), out .. err)
    assert.is_truthy(err:find("shop.lua:%d+: .*\ngeneration 2 goes on\n"), err)
    assert.is_truthy(err:find("stopped by a signal", 1, true), err)
    assert.is_truthy(out:find('{"name":"order.paid","context":{"host":"h1"}}\n', 1, true), out)
  end)
end)
