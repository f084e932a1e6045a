package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

describe("rejected lines", function()
  local folder = command.folder_for_each { ["copy.lua"] = command.copy }

  local function run(arguments, input) return folder:tidewire("run --json " .. arguments, input) end

  it("are_kept_with_where_they_stood_and_why", function()
    folder:write("app.log", '{"n":1}\n# comment\n{"n":2,}\n{"n":3}\n')
    local got = run("copy.lua app.log")
    assert.equal(0, got.status)
    assert.equal(2, got.summary.rejected)
    local records = folder:records "rejects.ndjson"
    assert.equal(2, #records)
    assert.equal("app.log", records[1].source)
    assert.equal(2, records[1].line)
    assert.equal(8, records[1].offset)
    assert.equal(0, records[1].position)
    assert.equal("# comment", records[1].raw)
    assert.truthy(#records[1].error > 0)
    assert.equal(3, records[2].line)
    assert.equal(18, records[2].offset)
    assert.equal(7, records[2].position)
    assert.equal('{"n":2,}', records[2].raw)
    assert.same({ path = "rejects.ndjson", lines = 2, lost = 0 }, got.summary.rejects)
  end)

  it("are_everything_that_is_not_one_json_object", function()
    local bad = {
      "[]",
      "1",
      '"text"',
      "null",
      "nope",
      "{",
      '{"a":1}}',
      '{"a":1} {"b":2}',
      '{"a":01}',
      '{"a":NaN}',
      "{'a':1}",
      '{"a":"\t"}',
      '{"a":1,}',
      "// comment",
      ("["):rep(5000),
      '{"a":' .. ("["):rep(200) .. ("]"):rep(200) .. "}",
    }
    local got = run("copy.lua", table.concat(bad, "\n") .. "\n")
    assert.equal(#bad, got.summary.rejected)
    assert.equal(0, got.summary.routed)
    for i, record in ipairs(folder:records "rejects.ndjson") do
      assert.equal(bad[i], record.raw)
      assert.equal("-", record.source)
    end
  end)

  it("are_kept_in_base64_when_they_are_not_utf8", function()
    run("copy.lua", '{"a":"\xff\xfe"}\n')
    local record = folder:records("rejects.ndjson")[1]
    assert.is_nil(record.raw)
    assert.equal("eyJhIjoi//4ifQ==", record.raw_base64)
    assert.equal(6, record.position)
  end)

  it("may_hold_nul_bytes", function()
    local got = run("copy.lua", '{"a":1}\0\n\0{"a":1}\n{"a":"\0"}\n{"a":2}\n')
    assert.equal(3, got.summary.rejected)
    assert.equal(1, got.summary.routed)
    local text = folder:read "rejects.ndjson"
    assert.truthy(text:find([["raw":"{\"a\":1}\u0000"]], 1, true))
  end)

  it("follow_the_limit_of_nesting", function()
    local deep = '{"a":' .. ("["):rep(9) .. ("]"):rep(9) .. "}\n"
    assert.equal(0, run("--max-depth 10 copy.lua", deep).summary.rejected)
    assert.equal(1, run("--max-depth 9 copy.lua", deep).summary.rejected)
    local deepest = '{"a":' .. ("["):rep(1023) .. ("]"):rep(1023) .. "}\n"
    assert.equal(1, run("--max-depth 1024 copy.lua", deepest).summary.routed)
  end)

  it("of_a_size_beyond_the_limit_are_cut_and_the_next_line_is_read", function()
    local head, tail = '{"a":"', '"}'
    local function line(size) return head .. ("é"):rep((size - 8) // 2) .. tail end
    local got = run("copy.lua", line(2000000) .. "\n" .. '{"n":1}\n' .. line(1048576) .. "\n" .. line(1048578))
    assert.equal(2, got.summary.routed)
    assert.equal(2, got.summary.rejected)
    local first, second = table.unpack(folder:records "rejects.ndjson")
    assert.equal(2000000, first.length)
    assert.equal(head .. ("é"):rep(2045), first.raw) -- of 4096 bytes, without half a character
    assert.equal(0, first.offset)
    assert.equal(1048578, second.length)
    assert.equal(4, second.line)
    assert.equal(2000000 + 1 + 8 + 1048576 + 1, second.offset)
    assert.truthy(first.error:find("1048576", 1, true))
  end)

  it("follow_the_limit_of_size", function()
    local got = run("--max-event 16 copy.lua", '{"a":"12345678"}\n{"a":"123456789"}\n')
    assert.equal(1, got.summary.routed)
    local record = folder:records("rejects.ndjson")[1]
    assert.equal('{"a":"123456789"}', record.raw)
    assert.is_nil(record.length) -- the line is whole
    assert.truthy(record.error:find("17 bytes", 1, true))
    assert.equal(1, run("--max-event 4MiB copy.lua", '{"a":"' .. ("x"):rep(3000000) .. '"}\n').summary.routed)
  end)

  it("go_to_the_file_that_is_asked_for_behind_what_is_there", function()
    folder:write("mine", '{"old":1}\n')
    run("--rejects mine copy.lua", "oops\n")
    assert.is_nil(folder:read "rejects.ndjson")
    local records = folder:records "mine"
    assert.equal(2, #records)
    assert.equal("oops", records[2].raw)
  end)

  it("begin_a_new_line_behind_a_torn_one", function()
    folder:write("rejects.ndjson", '{"torn":')
    run("copy.lua", "oops\n")
    assert.truthy(folder:read("rejects.ndjson"):find '^{"torn":\n{"source"')
  end)

  it("go_into_a_new_file_when_theirs_is_moved_away", function()
    local _, _, err = folder:shell(
      "mkfifo pipe; "
        .. command.words "run --json copy.lua pipe"
        .. " & pid=$!; exec 3>pipe; echo one >&3; "
        .. "i=0; until [ -s rejects.ndjson ] || [ $i = 500 ]; do sleep 0.02; i=$((i+1)); done; "
        .. "mv rejects.ndjson old; echo two >&3; exec 3>&-; wait $pid"
    )
    assert.same({ path = "rejects.ndjson", lines = 2, lost = 0 }, command.summary(err).rejects)
    assert.equal("one", folder:records("old")[1].raw)
    assert.equal("two", folder:records("rejects.ndjson")[1].raw)
  end)

  it("of_two_runs_share_a_file_and_a_limit_of_its_size", function()
    folder:write("in", (("oops"):rep(60) .. "\n"):rep(2000))
    local run_it = command.words "run --json copy.lua in"
    folder:shell("ulimit -f 512; " .. run_it .. " 2>one & " .. run_it .. " 2>two; wait $!")
    local kept = 0
    for _, name in ipairs { "one", "two" } do
      local rejects = command.summary(folder:read(name)).rejects
      kept = kept + rejects.lines - rejects.lost
    end
    assert.is_true(kept > 0 and kept < 4000)
    assert.equal(kept, #folder:records "rejects.ndjson")
  end)

  it("that_cannot_be_written_are_told_once_and_are_an_output_failure", function()
    for _, path in ipairs { "/dev/full", "/proc/none/rejects" } do
      local got = run("--rejects " .. path .. " copy.lua", ("oops\n"):rep(3))
      assert.equal(74, got.status)
      assert.equal(3, got.summary.rejects.lost)
      assert.equal(1, select(2, got.err:gsub("rejected lines are lost", "")))
    end
  end)

  it("leave_no_half_line_on_a_full_disk", function()
    local disk = folder:file "disk"
    if folder:shell(("mkdir %s && mount -t tmpfs -o size=64k tmpfs %s"):format(disk, disk)) ~= 0 then return end
    local got = run("--rejects disk/r copy.lua", (("oops"):rep(200) .. "\n"):rep(400))
    local text = folder:read "disk/r"
    folder:shell("umount " .. disk)
    assert.equal(74, got.status)
    assert.truthy(got.summary.rejects.lost > 0)
    assert.truthy(text == "" or text:sub(-2) == "}\n")
    assert.equal(400 - got.summary.rejects.lost, select(2, text:gsub("\n", "")))
  end)
end)

describe("dead letters", function()
  local folder = command.folder_for_each {
    ["dead.lua"] = [[
      local tw = require "tidewire"
      local function strict(event)
        event.touched = true
        if event.n == 2 then error "two is not for us" end
      end
      return tw.router { backends = { shop = tw.router {
        processors = { { strict, name = "strict", on_error = "dead_letter" } },
        backends = { out = tw.backends.file { path = "out.ndjson" } },
      } } }]],
  }

  it("hold_the_event_as_it_was_and_what_went_wrong_where", function()
    local got = folder:tidewire("run --json dead.lua", '{"n":1}\n\n{"n":2,"x":1.0}\n')
    assert.equal(0, got.status)
    assert.equal(1, got.summary.routed)
    assert.equal(1, got.summary.dropped)
    assert.equal(1, got.summary.routers[2].dead)
    assert.same({ path = "dead.ndjson", lines = 1, lost = 0 }, got.summary.dead)
    local record = folder:records("dead.ndjson")[1]
    assert.equal("shop", record.path)
    assert.equal("strict", record.processor)
    assert.equal("-", record.source)
    assert.equal(3, record.line)
    assert.truthy(record.error:find("two is not for us", 1, true))
    assert.truthy(folder:read("dead.ndjson"):find('"event":{"n":2,"x":1.0}', 1, true))
  end)

  it("go_to_the_file_that_is_asked_for", function()
    folder:tidewire("run --dead mine dead.lua", '{"n":2}\n')
    assert.equal(1, #folder:records "mine")
    assert.is_nil(folder:read "dead.ndjson")
  end)

  it("that_cannot_be_written_are_an_output_failure", function()
    local got = folder:tidewire("run --json --dead /dev/full dead.lua", '{"n":2}\n')
    assert.equal(74, got.status)
    assert.equal(1, got.summary.dead.lost)
  end)
end)
