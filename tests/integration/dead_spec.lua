-- Dead letters in a spool, and events that wait in one.
package.path = "tests/integration/?.lua;" .. package.path
local command = require "command"

-- Delivers while the file "up" is there; refuses what has `bad`, unless "lax" is there.
local flaky = [[
local tw = require "tidewire"
local function is_there(name)
  local file = io.open(name)
  if file then file:close() end
  return file ~= nil
end
return tw.router {
  engine = { delivery = { retry = { min = "5ms", max = "20ms" }, breaker = { failures = 2, rest = "30ms" } } },
  processors = {
    { function(event) if event.wrong then error "it is wrong" end end, name = "strict", on_error = "dead_letter" },
  },
  backends = { db = { send = function(self, event)
    if not is_there "up" then return false, "the database is away" end
    if event.bad and not is_there "lax" then return tw.permanent "the database refuses it" end
    local out = assert(io.open("out.ndjson", "a"))
    out:write(tostring(event), "\n")
    out:close()
  end } },
}
]]

local mixed = '{"name":"a","n":1}\n{"name":"b","n":2,"bad":1.0}\nnope\n{"name":"a","n":3,"wrong":true}\n{"name":"c","n":4}\n'

describe("events that cannot be delivered", function()
  local folder = command.folder_for_each { ["flaky.lua"] = flaky }

  local function run(arguments) return folder:tidewire("run --grant io --json --spool sp " .. arguments) end

  it("wait_in_the_spool_and_are_delivered_by_the_next_run", function()
    folder:write("app.log", '{"n":1}\n{"n":2}\n{"n":3}\n')
    local got = run "flaky.lua app.log"
    assert.equal(75, got.status)
    assert.matches('3 events wait for "db" in sp: run again', got.err, 1, true)
    local outbox = got.summary.backends[1].outbox
    assert.equal(3, outbox.waiting)
    assert.is_true(outbox.retries > 0)
    assert.equal(75, got.summary.status)
    assert.is_nil(folder:read "out.ndjson")
    folder:write("up", "")
    got = run "flaky.lua app.log"
    assert.equal(0, got.status)
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n', folder:read "out.ndjson")
  end)

  it("are_shown_to_people_with_how_it_stands", function()
    folder:write("app.log", '{"n":1}\n')
    local got = folder:tidewire "run --grant io --spool sp flaky.lua app.log"
    assert.matches('1 event waits for "db" in sp: run again', got.err, 1, true)
    assert.matches("outbox +waiting +retries +dead +shed +late +breaker\n", got.err)
    assert.matches("\n  db +1 +", got.err)
  end)

  it("are_in_the_status_of_a_daemon", function()
    folder:write("app.log", '{"n":1}\n{"n":2}\n')
    local status, out = folder:shell(
      command.wait_for
        .. command.words "run --grant io -q --spool sp --follow --control sock flaky.lua app.log"
        .. " & pid=$!; wait_for '[ -S sock ]'; "
        .. ("waits() { %s | grep -q '\"waiting\":2,'; }; "):format(command.words "status --json sock")
        .. "wait_for waits; "
        .. command.words "status sock"
        .. "; touch up; wait_for '[ -s out.ndjson ]'; kill $pid; wait $pid"
    )
    assert.equal(0, status)
    assert.matches("backend +sent +failed +waiting +retries +dead +shed +breaker\n", out)
    assert.matches("db %(custom%) +0 +%d+ +2 +", out)
  end)

  it("are_lost_without_a_spool_and_told_to_be", function()
    folder:write("app.log", '{"n":1}\n{"n":2}\n')
    local got = folder:tidewire "run --grant io --json flaky.lua app.log"
    assert.equal(74, got.status)
  end)
end)

describe("tidewire dead", function()
  local folder = command.folder_for_each { ["flaky.lua"] = flaky, up = "" }

  local function run(arguments) return folder:tidewire("run --grant io --json --spool sp " .. arguments) end
  local function dead(arguments, input) return folder:tidewire("dead " .. arguments, input) end
  local function fill()
    folder:write("app.log", mixed)
    return run "flaky.lua app.log"
  end
  local function count(text) return select(2, text:gsub("\n", "")) end

  it("lists_what_could_not_be_processed_or_delivered_with_where_and_why", function()
    local got = fill()
    assert.equal(2, got.summary.backends[1].sent)
    local list = dead "list sp"
    assert.equal(0, list.status)
    assert.equal(3, count(list.out))
    assert.matches("%d  %d+%-%d+%-%d+T%d+:%d+:%d+Z  backend +db +b +.*the database refuses it\n", list.out)
    assert.matches("  processor +%- +a +.*it is wrong\n", list.out)
    assert.matches("  source +%- +%- +expected", list.out)
  end)

  it("chooses_by_backend_place_error_name_and_number", function()
    fill()
    for filter, expected in pairs {
      ["--backend db"] = 1,
      ["--backend other"] = 0,
      ["--where processor"] = 1,
      ["--where source"] = 1,
      ["--error refuses"] = 1,
      ["--name a"] = 1,
      ["--since 1h"] = 3,
      ["--until 2000-01-01"] = 0,
      ["--limit 2"] = 2,
      ["--since 1h --where backend --name b"] = 1,
    } do
      assert.equal(expected, count(dead("list " .. filter .. " sp").out), filter)
    end
    local number = dead("list --where source sp").out:match "%d+"
    assert.matches("text +nope\n", dead("show sp " .. number).out)
    assert.equal(66, dead("show sp 77").status)
  end)

  it("exports_letters_and_events_byte_for_byte", function()
    fill()
    folder:write("letters", dead("export sp").out)
    assert.equal(3, #folder:records "letters")
    assert.equal('{"name":"b","n":2,"bad":1.0}\n', dead("export --events --where backend sp").out)
    local all = dead "export --events sp"
    assert.equal(2, count(all.out))
    assert.matches("1 letter holds no event", all.err)
  end)

  it("drops_what_it_is_told_to_and_asks_before", function()
    fill()
    local got = dead "drop sp"
    assert.equal(64, got.status)
    assert.matches("say %-%-yes", got.err)
    assert.equal(3, count(dead("list sp").out))
    got = dead "drop --yes --where backend sp"
    assert.equal(0, got.status)
    assert.matches("dropped 1 dead letter\n", got.err)
    assert.equal(2, count(dead("list sp").out))
    assert.equal("", dead("drop -q --yes sp").err)
    assert.equal("", dead("list sp").out)
  end)

  it("replays_through_the_script_by_the_next_run", function()
    fill()
    folder:write("lax", "")
    local got = dead "replay sp"
    assert.equal(0, got.status)
    assert.matches("2 events are on the way again", got.err)
    assert.matches("1 letter holds no event and stays", got.err)
    assert.equal(0, run("flaky.lua app.log").status)
    -- The backend takes it now; the processor is as strict as before.
    assert.matches('{"name":"b","n":2,"bad":1.0}\n', folder:read "out.ndjson", 1, true)
    local list = dead("list --where processor sp").out
    assert.equal(1, count(list))
    assert.equal(1, count(dead("list --where source sp").out))
    assert.equal(0, count(dead("list --where backend sp").out))
  end)

  it("replays_straight_to_a_backend", function()
    fill()
    assert.equal(0, dead("replay --to-backend=db --where processor sp").status)
    assert.equal(0, run("flaky.lua app.log").status)
    assert.matches('{"name":"a","n":3,"wrong":true}\n', folder:read "out.ndjson", 1, true)
    assert.equal(0, count(dead("list --where processor sp").out))
    folder:write("lax", "")
    assert.equal(0, dead("replay --to-backend sp").status)
    assert.equal(0, run("flaky.lua app.log").status)
    assert.matches('{"name":"b","n":2,"bad":1.0}\n', folder:read "out.ndjson", 1, true)
  end)

  it("works_while_a_daemon_has_the_spool", function()
    folder:write("app.log", mixed)
    local status, out, err = folder:shell(
      command.wait_for
        .. command.words "run --grant io -q --spool sp --follow flaky.lua app.log"
        .. " & pid=$!; "
        .. ("dead() { [ $(%s 2>/dev/null | wc -l) = $1 ]; }; "):format(command.words "dead list sp")
        .. "wait_for 'dead 3'; touch lax; "
        .. command.words "dead replay -q --where backend sp"
        .. "; wait_for 'grep -q bad out.ndjson'; wait_for 'dead 2'; "
        .. command.words "dead drop -q --yes sp"
        .. "; "
        .. command.words "dead list sp"
        .. "; kill $pid; wait $pid"
    )
    assert.equal(74, status, err) -- of what was refused
    assert.equal("", out)
    assert.equal(1, select(2, folder:read("out.ndjson"):gsub("bad", "")))
  end)

  it("refuses_what_it_does_not_understand", function()
    for arguments, expected in pairs {
      [""] = "say what to do",
      ["lisst sp"] = 'did you mean "list"',
      ["list"] = "no folder of a spool given",
      ["list --where nowhere sp"] = "--where must be",
      ["list --since never sp"] = "--since must be",
      ["list --limit 0 sp"] = "--limit must be",
      ["list --yes sp"] = "unknown option --yes",
      ["list sp x"] = "named by its number",
    } do
      local got = dead(arguments)
      assert.equal(64, got.status, arguments)
      assert.truthy(got.err:find(expected, 1, true), arguments .. ": " .. got.err)
    end
    assert.equal(66, dead("list nowhere").status)
    assert.matches("^Usage: tidewire dead", dead("--help").out)
    assert.matches("^Usage: tidewire dead", dead("list --help").out)
  end)
end)

describe("a spool", function()
  local folder = command.folder_for_each { ["copy.lua"] = command.copy }

  it("is_asked_for_as_it_can_be", function()
    for arguments, expected in pairs {
      ["--spool '' copy.lua"] = "--spool must name a folder",
      ["--spool sp --durability often copy.lua"] = "--durability must be commit, os or memory",
      ["--spool sp --spool-size 10 copy.lua"] = "--spool-size must be 16MiB or more",
      ["--spool sp --spool-free much copy.lua"] = "--spool-free must be a size",
    } do
      local got = folder:tidewire("run " .. arguments)
      assert.equal(64, got.status, arguments)
      assert.truthy(got.err:find(expected, 1, true), got.err)
    end
  end)

  it("may_be_kept_in_any_durability", function()
    for _, how in ipairs { "commit", "os" } do
      folder:write("app.log", '{"n":1}\n')
      local got = folder:tidewire(
        ("run --json --spool sp-%s --durability %s --spool-size 64MiB --spool-free 1MiB copy.lua app.log"):format(how, how)
      )
      assert.equal(0, got.status, got.err)
      assert.equal(1, got.summary.routed)
    end
  end)

  it("belongs_to_one_run", function()
    local status, _, err = folder:shell(
      command.wait_for
        .. ": >app.log; "
        .. command.words "run -q --spool sp --follow copy.lua app.log"
        .. " & pid=$!; wait_for '[ -e sp/data.mdb ]'; "
        .. command.words "run -q --spool sp copy.lua app.log"
        .. "; status=$?; kill $pid; wait $pid; exit $status"
    )
    assert.is_true(status ~= 0)
    assert.matches("sp", err)
  end)
end)
