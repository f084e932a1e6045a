-- Every script of scripts/ runs, in a folder of its own, and does what its head says.
local tw = require "tidewire"

local root = io.popen("pwd"):read "l"
local command = os.getenv "TIDEWIRE"

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local can_run = command ~= nil and exists(command)

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

local function shell(line)
  local pipe = io.popen(line)
  local out = pipe:read "a"
  pipe:close()
  return out
end

--- Runs a script on an input file; gives what it printed.
local function run(folder, script, input)
  local path = root .. "/scripts/" .. script
  local line = ("cd %s && %s run --quiet %s %s 2>&1 || echo FAILED $?"):format(
    quote(folder),
    quote(command),
    quote(path),
    quote(input)
  )
  local out = shell(line)
  assert(not out:find "FAILED %d+\n$", out)
  return out
end

local function sql(database, query)
  return shell(("sqlite3 %s %s 2>&1"):format(quote(database), quote(query)))
end

local sample = root .. "/scripts/sample-events.ndjson"

--- How many lines of the sample hold a text.
local function count_of(text)
  local count = 0
  for line in io.lines(sample) do
    if line:find(text, 1, true) then
      count = count + 1
    end
  end
  return count
end

describe("the sample events", function()
  it("are events, each valid JSON", function()
    for line in io.lines(sample) do
      assert(tw.event(line))
    end
  end)
end)

local pending_or_it = can_run and it or pending

describe("the script", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir -p " .. quote(folder))
  end)

  after_each(function()
    os.execute("rm -rf " .. quote(folder))
  end)

  pending_or_it("example.lua stores, archives and splits off the videos", function()
    run(folder, "example.lua", sample)
    local out = folder .. "/out/"
    local videos = count_of '"name":"play"' + count_of '"name":"pause"' + count_of '"name":"seek"'
    local orders = count_of '"name":"order.'
    local all = count_of "" - count_of '"name":"debug.'
    assert.are.equal(all - videos, #lines_of(out .. "archive.ndjson"))
    assert.are.equal(orders, #lines_of(out .. "orders.ndjson"))
    assert.are.equal(count_of '"name":"play"', #lines_of(out .. "video/plays.ndjson"))
    -- One order was sent twice: the database has it once.
    assert.are.equal(all - 1 .. "\n", sql(out .. "events.db", "SELECT count(*) FROM events"))
  end)

  pending_or_it("example.lua lets no address through", function()
    run(folder, "example.lua", sample)
    assert.are.equal("", shell("grep -rlaE '[a-z]@example' " .. quote(folder .. "/out")))
  end)

  pending_or_it("example.lua decodes what browsers send and keeps numbers exact", function()
    run(folder, "example.lua", sample)
    local play = tw.event(lines_of(folder .. "/out/video/plays.ndjson")[1])
    assert.are.same({ "video.play", "video", "number" }, {
      play.name,
      play.context.area,
      math.type(play.event.seconds) and "number",
    })
    assert.are.equal("1.0", (tw.path("event.speed"):text(play)))
    assert.is_nil(play.event.at)
    assert.matches('"order":90071992547409', lines_of(folder .. "/out/orders.ndjson")[1], 1, true)
  end)

  pending_or_it("split.lua makes an event of each item, samples users and keeps odd answers", function()
    run(folder, "split.lua", sample)
    local out, items = folder .. "/out/split/", 0
    for line in io.lines(sample) do
      local event = tw.event(line)
      items = items + (event.name == "order.paid" and #event.data.items or 0)
    end
    assert.are.equal(items, #lines_of(out .. "items.ndjson"))
    local sampled = #lines_of(out .. "sample.ndjson")
    assert.is_true(sampled > 20 and sampled < 150, sampled)
    for line in io.lines(out .. "answers.ndjson") do
      local answer = tw.event(line).data.answer
      assert.is_true(type(answer) == "string" or answer == tw.null)
    end
  end)

  pending_or_it("lua-backend.lua counts the names and adds up the turnover", function()
    local out = run(folder, "lua-backend.lua", sample)
    assert.matches("%f[%d]" .. count_of '"name":"order.paid"' .. " order%.paid\n", out)
    assert.matches("%d+%.%d%d turnover\n", out)
  end)

  pending_or_it("tracking-logs.lua keeps each line as it came and sorts a clean copy", function()
    local log = folder .. "/tracking.log"
    local file = assert(io.open(log, "w"))
    file:write(
      [[{"username":"ann","event_source":"browser","event_type":"play_video","ip":"10.0.0.1","event":"{\"t\":1.50}","time":"2024-05-01T08:00:00+00:00"}]],
      "\n",
      [[{"username":"bob","event_source":"server","event_type":"/about","ip":"10.0.0.2","event":"{}","time":"2024-05-01T08:00:01+00:00"}]],
      "\n"
    )
    file:close()
    run(folder, "tracking-logs.lua", log)
    local out = folder .. "/out/tracking/"
    assert.are.equal(read(log), read(out .. "raw.ndjson"))
    local clean = lines_of(out .. "video.ndjson")
    assert.are.equal(1, #clean)
    local event = tw.event(clean[1])
    assert.are.same({ "play_video", "2024-05-01T08:00:00+00:00" }, { event.name, event.timestamp })
    assert.are.equal("1.50", (tw.path("event.t"):text(event)))
    assert.is_nil(event.ip)
    assert.are.equal(64, #event.username)
    assert.are.equal("play_video\n", sql(out .. "events.db", "SELECT name FROM events"))
  end)

  pending_or_it("tracking-logs.lua accounts for every event of the logs at hand", function()
    local logs = shell "ls ../shared/data/*.log 2>/dev/null"
    for log in logs:gmatch "[^\n]+" do
      os.execute("rm -rf " .. quote(folder .. "/out"))
      run(folder, "tracking-logs.lua", root .. "/" .. log)
      local expected = {}
      for line in io.lines(log) do
        expected[#expected + 1] = tw.event(line) and line
      end
      assert.are.same(expected, lines_of(folder .. "/out/tracking/raw.ndjson"))
    end
  end)

  it("embed.lua prints its events with their contexts", function()
    local out = shell(("cd %s && lua5.4 %s 2>&1"):format(quote(folder), quote(root .. "/scripts/embed.lua")))
    local events = {}
    for line in out:gmatch "[^\n]+" do
      local event = assert(tw.event(line), out)
      events[#events + 1] = event.name
      assert.is_nil(line:find("ann@example.org", 1, true))
    end
    assert.are.same({ "order.paid", "mail.started", "mail.ended", "report.written", "program.ended" }, events)
    assert.matches('"job":"mail"', out, 1, true)
  end)
end)
