package.path = "tests/integration/?.lua;" .. package.path
local cjson = require "cjson"
local command = require "command"

describe("tidewire run", function()
  local folder = command.folder_for_each { ["copy.lua"] = command.copy }

  local function run(arguments, input) return folder:tidewire("run " .. arguments, input) end

  it("routes_standard_input_when_no_file_is_named", function()
    local got = run("--json copy.lua", '{"a":1}\n{"b":[1.0,2]}\n')
    assert.equal(0, got.status)
    assert.equal('{"a":1}\n{"b":[1.0,2]}\n', folder:read "out.ndjson")
    assert.equal(2, got.summary.routed)
    assert.equal(16 + 6, got.summary.bytes)
  end)

  it("routes_files_in_order_and_standard_input_as_a_dash", function()
    folder:write("one", '{"n":1}\n')
    folder:write("two", '{"n":2}')
    local got = run("copy.lua two - one --json", '{"n":3}\n')
    assert.equal(0, got.status)
    assert.equal('{"n":2}\n{"n":3}\n{"n":1}\n', folder:read "out.ndjson")
    assert.equal(3, got.summary.read)
  end)

  it("keeps_events_whose_key_a_function_gives_on_one_worker", function()
    folder:write(
      "keys.lua",
      [[
      local tw = require "tidewire"
      local mine = tw.shared("workers"):incr("count")
      return tw.router {
        engine = { workers = 3, partition_by = function(event) return event.k end },
        processors = { function(event) event.w = mine end },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      }]]
    )
    local lines, worker_of, workers = {}, {}, {}
    for i = 1, 700 do
      lines[i] = ('{"k":%d,"n":%d}\n'):format(i % 7, i)
    end
    assert.equal(0, run("keys.lua", table.concat(lines)).status)
    for k, w in folder:read("out.ndjson"):gmatch '"k":(%d),"n":%d+,"w":(%d)' do
      worker_of[k] = worker_of[k] or w
      assert.equal(worker_of[k], w)
      workers[w] = true
    end
    assert.is_truthy(worker_of["6"])
    assert.is_truthy(next(workers, (next(workers))))
  end)

  it("takes_a_last_line_without_a_newline", function()
    run("copy.lua", '{"n":1}\n{"n":2}')
    assert.equal('{"n":1}\n{"n":2}\n', folder:read "out.ndjson")
  end)

  it("keeps_standard_output_for_events_and_shows_on_standard_error_what_scripts_print", function()
    folder:write(
      "prints.lua",
      [[
      local tw = require "tidewire"
      print("loading", 1, nil, tw.null)
      return tw.router {
        processors = { function(event) print(event) end },
        backends = { out = tw.backends.stdout {} },
      }]]
    )
    local got = run("--quiet prints.lua", '{"a":1}\n')
    assert.equal('{"a":1}\n', got.out)
    assert.equal('loading\t1\tnil\tnull\n{"a":1}\n', got.err)
  end)

  it("tells_what_scripts_warn_of_and_what_goes_wrong_while_their_backends_close", function()
    folder:write(
      "warns.lua",
      [[
      local tw = require "tidewire"
      warn("a", "b")
      warn "@off"
      warn "silent"
      warn "@on"
      warn "again"
      local backend = { send = function() end, close = function() error "left open" end }
      return tw.router { backends = { out = backend } }]]
    )
    local got = run("--quiet warns.lua", '{"a":1}\n')
    assert.equal(0, got.status)
    assert.matches("^tidewire: warning: ab\ntidewire: warning: again\n", got.err)
    assert.matches("\ntidewire: backend: .*left open\n", got.err)
    assert.is_nil(got.err:find "silent")
  end)

  it("is_done_at_once_with_empty_input", function()
    local got = run("--json copy.lua", "")
    assert.equal(0, got.status)
    assert.equal(0, got.summary.lines)
    assert.is_nil(folder:read "rejects.ndjson")
  end)

  it("skips_and_counts_blank_lines", function()
    local got = run("--json --strict copy.lua", "\n  \n\t\r\n \n")
    assert.equal(0, got.status)
    assert.equal(4, got.summary.blank)
    assert.equal(0, got.summary.read)
  end)

  it("accepts_line_ends_with_a_carriage_return", function()
    local got = run("--json copy.lua", '{"n":1}\r\n{"n":2}\r\n')
    assert.equal(2, got.summary.routed)
    local lines = {}
    for line in folder:read("out.ndjson"):gmatch "[^\n]+" do lines[#lines + 1] = (line:gsub("\r$", "")) end
    assert.same({ '{"n":1}', '{"n":2}' }, lines)
  end)

  it("skips_a_byte_order_mark_at_the_start_of_an_input_only", function()
    local got = run("--json copy.lua", '\xef\xbb\xbf{"n":1}\n\xef\xbb\xbf{"n":2}\n')
    assert.equal(1, got.summary.routed)
    assert.equal(1, got.summary.rejected)
    assert.equal('{"n":1}\n', folder:read "out.ndjson")
    assert.equal(3 + 8, folder:records("rejects.ndjson")[1].offset)
  end)

  for kind, declaration in pairs {
    file = 'file { path = "in" }',
    truncated_file = 'file { path = "in", append = false }',
    linked_file = 'file { path = "link" }',
    database = 'sqlite { path = "in" }',
    stdout = "stdout {}",
  } do
    it("refuses_to_read_what_its_backend_writes_into_" .. kind, function()
      local lines = ('{"n":1}\n'):rep(3)
      folder:write("in", lines)
      folder:shell "ln -s in link"
      folder:write(
        "own.lua",
        'local tw = require "tidewire"\n'
          .. "return tw.router { backends = { deep = tw.router { backends = { out = tw.backends."
          .. declaration
          .. " } } } }"
      )
      for _, how in ipairs { "own.lua in", "own.lua <in", "own.lua - link <own.lua" } do
        local status, _, err = folder:shell("{ timeout 10 " .. command.words("run " .. how) .. "; } >>in")
        assert.equal(64, status)
        assert.truthy(err:find('is read, so the backend "deep/out" cannot write into it too', 1, true))
        assert.equal(lines, folder:read "in")
      end
    end)
  end

  it("counts_what_a_limit_of_file_size_refuses_and_goes_on", function()
    folder:write("in", ('{"n":"' .. ("x"):rep(90) .. '"}\n'):rep(3000))
    local status, _, err = folder:shell("ulimit -f 64; " .. command.words "run --json copy.lua in")
    local summary = command.summary(err)
    assert.equal(74, status)
    assert.equal(3000, summary.backends[1].sent + summary.backends[1].failed)
    local out = folder:read "out.ndjson"
    assert.equal("\n", out:sub(-1))
    assert.equal(summary.backends[1].sent, select(2, out:gsub("\n", "")))
  end)

  it("counts_routed_and_dropped_so_that_they_add_up_in_a_tree", function()
    folder:write(
      "tree.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function(event) if event.n % 5 == 0 then return false end end },
        route = function(event) if event.n % 5 ~= 1 then return "deep", "all" end end,
        backends = {
          all = tw.backends.null {},
          deep = tw.router {
            processors = { function(event) if event.n % 5 == 2 then tw.drop() end end },
            backends = { db = tw.backends.memory {} },
          },
        },
      }]]
    )
    local lines = {}
    for n = 1, 100 do lines[n] = ('{"n":%d}\n'):format(n) end
    lines[#lines + 1] = "# comment\n\n"
    local summary = run("--json tree.lua", table.concat(lines)).summary
    assert.equal(101, summary.read)
    assert.equal(1, summary.rejected)
    assert.equal(60, summary.routed)
    assert.equal(40, summary.dropped)
    assert.equal(summary.read, summary.routed + summary.dropped + summary.rejected)
    assert.equal(summary.lines, summary.read + summary.blank)
    assert.same({ path = "all", kind = "null", sent = 60, failed = 0, duplicate = 0 }, summary.backends[1])
    assert.same({ path = "deep/db", kind = "memory", sent = 40, failed = 0, duplicate = 0 }, summary.backends[2])
    local root, deep = table.unpack(summary.routers)
    assert.same({ path = "", received = 100, dropped = 20, unrouted = 20, failures = 0, dead = 0 }, root)
    assert.same({ path = "deep", received = 60, dropped = 20, unrouted = 0, failures = 0, dead = 0 }, deep)
  end)

  it("counts_an_event_that_becomes_many_once", function()
    folder:write(
      "split.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function(event)
          local list = {}
          for i = 1, event.n do list[i] = { i = i } end
          return tw.split(table.unpack(list))
        end },
        backends = { out = tw.backends.memory {} },
      }]]
    )
    local summary = run("--json split.lua", '{"n":3}\n{"n":0}\n{"n":1}\n').summary
    assert.equal(2, summary.routed)
    assert.equal(1, summary.dropped)
    assert.equal(4, summary.backends[1].sent)
  end)

  it("goes_on_after_a_processor_failed_and_tells_it_sparingly", function()
    folder:write(
      "fails.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { { function(event) error "no luck" end, name = "unlucky" } },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      }]]
    )
    local got = run("--json fails.lua", ('{"n":1}\n'):rep(100))
    assert.equal(0, got.status)
    assert.equal(100, got.summary.routed)
    assert.equal(100, got.summary.routers[1].failures)
    local told = select(2, got.err:gsub("no luck", ""))
    assert.equal(7, told) -- the 1st, 2nd, 4th … 64th
    assert.truthy(got.err:find("unlucky", 1, true))
    assert.equal(('{"n":1}\n'):rep(100), folder:read "out.ndjson")
  end)

  it("tells_the_observers_of_the_script_too", function()
    folder:write(
      "observed.lua",
      [[
      local tw = require "tidewire"
      local function note(file) return function(failure)
        local out = assert(io.open(file, "a"))
        out:write(failure.path, " ", failure.message, "\n")
        out:close()
      end end
      local function fail() error "no luck" end
      return tw.router {
        on_failure = note "root",
        processors = { fail },
        backends = { deep = tw.router {
          on_failure = note "deep", on_dead = note "kept",
          processors = { { fail, on_error = "dead_letter" } },
          backends = { out = tw.backends.null {} },
        } },
      }]]
    )
    local got = run("--grant io --json observed.lua", '{"n":1}\n')
    assert.truthy(folder:read("root"):find "^ .*no luck\n$")
    assert.truthy(folder:read("deep"):find "^deep .*no luck\n$")
    assert.truthy(folder:read("kept"):find "^deep .*no luck\n$")
    assert.equal(2, select(2, got.err:gsub("no luck", "")))
    assert.equal("deep", folder:records("dead.ndjson")[1].path)
    assert.equal(1, got.summary.dropped)
  end)

  it("shows_progress_and_colour_on_a_terminal_alone", function()
    -- The rest comes when the progress of the beginning is to be seen, or is not to come.
    folder:write(
      "slow.sh",
      [[printf '{}\n'
        tries=0
        until grep -q '1 read' seen || [ $tries -ge $1 ]; do sleep 0.05; tries=$((tries + 1)); done
        printf '{}\nx\n']]
    )
    local function on_terminal(settings, arguments, tries)
      local run_it = settings .. " " .. command.words("run " .. arguments .. " copy.lua")
      folder:write("go.sh", "sh slow.sh " .. tries .. " | " .. run_it)
      return select(2, folder:shell "rm -f seen; script -qefc 'sh go.sh' seen")
    end
    if folder:shell "script -qec true /dev/null" ~= 0 then pending "the system gives no terminals here" end
    local seen = on_terminal("TERM=xterm NO_COLOR=", "", 400)
    assert.truthy(seen:find("\r\x1b[K1 read, 0 rejected, ", 1, true))
    assert.truthy(seen:find("\x1b[33m", 1, true))
    seen = on_terminal("TERM=xterm NO_COLOR=1", "", 400)
    assert.truthy(seen:find("1 read, 0 rejected, ", 1, true))
    assert.is_nil(seen:find("\x1b[3", 1, true))
    assert.is_nil(on_terminal("TERM=dumb", "", 8):find("\x1b", 1, true))
    assert.equal("", on_terminal("TERM=xterm", "-q", 8))
  end)

  it("counts_what_sqlite_has_already", function()
    folder:write("sqlite.lua", [[
      local tw = require "tidewire"
      return tw.router { backends = { db = tw.backends.sqlite { path = "events.db" } } }]])
    local input = '{"id":"a","name":"x"}\n{"id":"b"}\n{"id":"a"}\n'
    local first = run("--json sqlite.lua", input).summary
    assert.same({ path = "db", kind = "sqlite", sent = 3, failed = 0, duplicate = 1 }, first.backends[1])
    assert.equal(3, run("--json sqlite.lua", input).summary.backends[1].duplicate)
  end)

  it("prints_a_summary_for_people", function()
    local got = run("copy.lua", '{"n":1}\nnonsense\n\n')
    assert.truthy(got.err:find "read +2 +and 1 blank\n")
    assert.truthy(got.err:find "routed +1\n")
    assert.truthy(got.err:find "rejected +1\n")
    assert.truthy(got.err:find "out %(file%) +1 +0\n")
    assert.truthy(got.err:find "rejected lines in rejects.ndjson\n")
    assert.truthy(got.err:find "events/s")
    assert.is_nil(got.err:find("\x1b", 1, true))
  end)

  it("says_nothing_when_quiet_and_all_is_well", function()
    local got = run("-q copy.lua", '{"n":1}\nnonsense\n')
    assert.equal("", got.err)
    assert.equal("", got.out)
  end)

  it("keeps_the_summary_off_standard_output", function()
    folder:write("stdout.lua", [[
      local tw = require "tidewire"
      return tw.router { backends = { out = tw.backends.stdout {} } }]])
    local got = run("--json stdout.lua", '{"n":1}\n')
    assert.equal('{"n":1}\n', got.out)
    assert.equal(1, got.summary.routed)
  end)

  it("finds_modules_beside_the_script_and_cjson", function()
    folder:shell "mkdir -p routers/shop"
    folder:write(
      "routers/shop/mark.lua",
      [[
      local cjson = require "cjson"
      return function(event) event.mark = cjson.decode("[7]")[1] end]]
    )
    folder:write(
      "routers/main.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { require "shop.mark" },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      }]]
    )
    assert.equal(0, run("routers/main.lua", '{"n":1}\n').status)
    assert.equal(7, folder:records("out.ndjson")[1].mark)
  end)

  describe("exits with", function()
    it("64_when_the_command_line_is_wrong", function()
      local wrong = {
        { "", "Usage: tidewire run" },
        { "rum x.lua", 'did you mean "run"?' },
        { "frobnicate", "see tidewire --help" },
        { "run", "no script given" },
        { "run --strickt copy.lua", "did you mean --strict?" },
        { "run copy.lua --bogus", "unknown option --bogus" },
        { "run --rejects", "--rejects needs a value" },
        { "run --strict=yes copy.lua", "--strict takes no value" },
        { "run --max-event 0 copy.lua", "--max-event must be" },
        { "run --max-event 1TB copy.lua", "max-event" },
        { "run --max-event much copy.lua", "max-event" },
        { "run --max-event -5 copy.lua", "max-event" },
        { "run --max-depth 2000 copy.lua", "--max-depth must be" },
        { "check", "no script given" },
        { "check --json copy.lua", "unknown option --json" },
      }
      for _, case in ipairs(wrong) do
        local got = folder:tidewire(case[1])
        assert.equal(64, got.status, case[1])
        assert.truthy(got.err:find(case[2], 1, true), case[1] .. ": " .. got.err)
        assert.equal("", got.out)
      end
    end)

    it("66_when_an_input_is_missing_or_a_folder_and_routes_nothing", function()
      folder:write("good", '{"n":1}\n')
      folder:shell "mkdir dir"
      for _, bad in ipairs { "missing", "dir" } do
        local got = run("copy.lua good " .. bad)
        assert.equal(66, got.status)
        assert.truthy(got.err:find(bad .. ": ", 1, true))
        assert.is_nil(folder:read "out.ndjson")
      end
      local status = folder:shell(command.words "run copy.lua <dir")
      assert.equal(66, status)
    end)

    it("66_when_standard_input_is_closed", function()
      assert.equal(66, (folder:shell(command.words "run copy.lua <&-")))
    end)

    it("65_for_rejected_lines_under_strict_alone", function()
      local input = '{"n":1}\noops\n{"n":2}\n'
      assert.equal(0, run("copy.lua", input).status)
      local got = run("--strict --json copy.lua", input)
      assert.equal(65, got.status)
      assert.equal(65, got.summary.status)
      assert.equal(2, got.summary.routed)
    end)

    it("78_when_the_script_is_missing_or_wrong", function()
      folder:write("syntax.lua", "return (\n")
      folder:write("number.lua", "return 7\n")
      for _, script in ipairs { "missing.lua", "syntax.lua", "number.lua", "." } do
        local got = run(script, '{"n":1}\n')
        assert.equal(78, got.status, script)
        assert.truthy(got.err:find(script, 1, true))
      end
    end)

    it("74_when_a_backend_cannot_be_opened", function()
      folder:write("nodir.lua", [[
        local tw = require "tidewire"
        return tw.router { backends = { out = tw.backends.file { path = "/proc/none/out" } } }]])
      local got = run("nodir.lua", '{"n":1}\n')
      assert.equal(74, got.status)
      assert.truthy(got.err:find("out", 1, true))
    end)

    it("74_rather_than_65_when_both_apply", function()
      folder:write("full.lua", [[
        local tw = require "tidewire"
        return tw.router { backends = { out = tw.backends.file { path = "/dev/full" } } }]])
      assert.equal(74, run("--strict full.lua", '{"n":1}\noops\n').status)
    end)

    it("74_when_the_reader_of_standard_output_is_gone", function()
      folder:write("stdout.lua", [[
        local tw = require "tidewire"
        return tw.router { backends = { out = tw.backends.stdout {} } }]])
      folder:write("many", ('{"n":1}\n'):rep(100000))
      folder:shell("{ " .. command.words "run -q stdout.lua many; echo $? >status; } | true")
      assert.equal("74\n", folder:read "status")
    end)
  end)

  it("refuses_to_append_rejects_to_a_file_that_it_reads", function()
    folder:write("in", "oops\n")
    folder:shell "ln -s in link"
    for _, arguments in ipairs { "--rejects in copy.lua in", "--dead link copy.lua in" } do
      local got = run(arguments)
      assert.equal(64, got.status)
      assert.equal("oops\n", folder:read "in")
    end
  end)

  it("keeps_other_backends_going_when_one_fails", function()
    folder:write(
      "half.lua",
      [[
      local tw = require "tidewire"
      return tw.router { backends = {
        bad = { send = function() error "down" end },
        good = tw.backends.file { path = "out.ndjson" },
      } }]]
    )
    local got = run("--json half.lua", ('{"n":1}\n'):rep(9))
    assert.equal(74, got.status)
    assert.equal(9, got.summary.routed)
    assert.equal(9, got.summary.backends[1].failed)
    assert.equal(9, got.summary.backends[2].sent)
    assert.truthy(got.err:find("down", 1, true))
  end)

  it("counts_what_a_full_disk_did_not_take_and_leaves_whole_lines", function()
    local disk = command.quote(folder:file "disk")
    if folder:shell(("mkdir %s && mount -t tmpfs -o size=64k tmpfs %s"):format(disk, disk)) ~= 0 then return end
    folder:write("disk.lua", (command.copy:gsub("out.ndjson", "disk/out.ndjson")))
    local line = ('{"pad":"%s"}\n'):format(("p"):rep(500))
    local got = run("--json disk.lua", line:rep(400))
    local text = folder:read "disk/out.ndjson"
    folder:shell("umount " .. disk)
    local out = got.summary.backends[1]
    assert.equal(74, got.status)
    assert.equal(400, got.summary.routed)
    assert.equal(400, out.sent + out.failed)
    assert.is_true(out.failed > 0)
    assert.is_true(text == line:rep(out.sent))
  end)

  it("delivers_at_once_when_the_input_pauses", function()
    local status = folder:shell(
      "mkfifo pipe; "
        .. command.words "run -q copy.lua <pipe"
        .. " & exec 3>pipe; printf '{\"n\":1}\\n{\"n\"' >&3;"
        .. "tries=0; until [ -s out.ndjson ] || [ $tries = 500 ]; do sleep 0.02; tries=$((tries+1)); done;"
        .. "cp out.ndjson early; printf ':2}\\n' >&3; exec 3>&-; wait"
    )
    assert.equal(0, status)
    assert.equal('{"n":1}\n', folder:read "early")
    assert.equal('{"n":1}\n{"n":2}\n', folder:read "out.ndjson")
  end)

  it("stays_within_its_memory_whatever_the_input", function()
    if command.sanitized then return end
    folder:write(
      "edit.lua",
      [[
      local tw = require "tidewire"
      return tw.router {
        processors = { function(event) event.context.email = nil; event.host = "h" end },
        backends = { out = tw.backends.null {} },
      }]]
    )
    local line = cjson.encode { name = "x", context = { email = "a@b.c" }, data = ("y"):rep(500) }
    folder:write("block", (line .. "\n"):rep(2000))
    folder:write("long", '{"long":"' .. ("z"):rep(2000000) .. '"}\n')
    local feed = "{ for i in $(seq 250); do cat block; done; cat long; head -c 30000000 /dev/zero; }"
    local status, _, err = folder:shell(feed .. " | " .. command.words "run --json edit.lua")
    local summary = command.summary(err)
    assert.equal(0, status)
    assert.equal(500000, summary.routed)
    assert.equal(2, summary.rejected)
    assert.is_true(summary.bytes > 300e6)
    assert.is_true(summary.peak_memory > 1e6 and summary.peak_memory < 64 * 1024 * 1024)
  end)
end)

describe("tidewire", function()
  local folder = command.folder_for_each {}

  it("prints_help_and_version_on_standard_output", function()
    local asked = {
      { "--help", "Usage: tidewire run" },
      { "-h", "tidewire check" },
      { "help run", "--max-event" },
      { "run --help", "--rejects" },
      { "check --help", "Opens nothing" },
      { "--version", "tidewire 0." },
    }
    for _, case in ipairs(asked) do
      local got = folder:tidewire(case[1])
      assert.equal(0, got.status, case[1])
      assert.truthy(got.out:find(case[2], 1, true), case[1])
      assert.equal("", got.err)
    end
  end)
end)
