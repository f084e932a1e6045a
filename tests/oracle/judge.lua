-- Judges a round of the oracle: judge.lua KILLS DEAD_LETTERS, in its folder.
--
-- What has to hold, of the events that the ledger knows:
--   * every acknowledged one is in `all`, or was dropped by the script, or is a dead letter
--   * every one in `all` is in each backend that its stamp names, or is one dead letter there
--   * none was invented, and every payload is what its number says
--   * of a key the numbers rise, in every backend that takes one call at a time
--   * the counts of a key are 1, 2, 3 …: none is missing (an event that was lost after it was
--     counted), and none stands on two events (one that was counted twice)
--   * SQLite has each event once
local cjson = require "cjson"

local KILLS = tonumber(arg[1])
local problems, told = 0, {}

local function problem(kind, format, ...)
  problems = problems + 1
  told[kind] = (told[kind] or 0) + 1
  if told[kind] <= 5 then print(kind .. ": " .. format:format(...)) end
end

local function read(path, mode)
  local file = assert(io.open(path, mode))
  local text = file:read "a"
  file:close()
  return text
end

local book = read("ledger", "rb")
local issued = string.unpack("<I8", book)
local function mark(n) return book:sub(4096 + n + 1, 4096 + n + 1) end

-- Each line of a command's output.
local function lines_of(command)
  local pipe = assert(io.popen(command))
  return function()
    local line = pipe:read "l"
    if not line then pipe:close() end
    return line
  end
end

-- Files of a backend in the order in which they were written.
local function outputs(name)
  return lines_of(("cat $(ls -tr out/%s* 2>/dev/null) /dev/null"):format(name))
end

local function expected_pad(n)
  local piece = ("%016x"):format(n * 0x9E3779B97F4A7C15)
  return piece:rep(n % 997 == 0 and 2000 or n % 23 + 1)
end

local function check_payload(where, data)
  local n = math.tointeger(data.n)
  if not n or n < 1 or n > issued or mark(n) == "\0" then
    problem("invented", "%s: event %s", where, tostring(data.n))
    return nil
  end
  if data.pad ~= expected_pad(n) then problem("payload", "%s: event %d", where, n) end
  return n
end

-- Events are known by number and, of one that was split, by part.
local function name_of(n, data) return data.part and n * 4 + math.tointeger(data.part) or n * 4 end
local function text_of(name) return ("%d%s"):format(name // 4, name % 4 > 0 and "/" .. name % 4 or "") end

-- @return names of events by when they came first
local function take(where, lines, is_ordered)
  local seen, newest, torn, again = {}, {}, 0, 0
  for line in lines do
    local ok, event = pcall(cjson.decode, line)
    if not ok or type(event) ~= "table" then
      torn = torn + (line ~= "" and 1 or 0)
    else
      local n = check_payload(where, event.data)
      local name = n and name_of(n, event.data)
      if name and seen[name] then
        again = again + 1
      elseif name then
        seen[name] = event.data
        local key = event.data.key
        if is_ordered and newest[key] and n < newest[key] then
          problem("order", "%s: key %d: %d after %d", where, key, n, newest[key])
        end
        newest[key] = math.max(n, newest[key] or 0)
      end
    end
  end
  if torn > KILLS + 1 then problem("torn", "%s: %d lines in %d lives", where, torn, KILLS) end
  return seen, again, torn
end

-- Dead letters: by path, names of events and how often.
local function take_dead(lines)
  local by_path, count = {}, 0
  for line in lines do
    local letter = cjson.decode(line)
    local path = letter.where .. ":" .. (letter.path or "")
    local n = check_payload("dead letters", letter.event.data)
    if n then
      by_path[path] = by_path[path] or {}
      local name = name_of(n, letter.event.data)
      by_path[path][name] = (by_path[path][name] or 0) + 1
      count = count + 1
    end
  end
  return by_path, count
end

local dead, dead_count = take_dead(lines_of("cat " .. arg[2]))

-- What is in a backend, and what is to be there.
local function check_backend(where, seen, all, is_wanted, is_refused)
  local letters = dead["backend:" .. where] or {}
  for name, data in pairs(all) do
    local wanted = is_wanted(data)
    local refused = wanted and is_refused and is_refused(data.n)
    if wanted and not refused and not seen[name] then
      problem("lost", "%s: event %s (%s)", where, text_of(name), mark(data.n))
    elseif not wanted and seen[name] then
      problem("astray", "%s: event %s", where, text_of(name))
    end
    if refused and letters[name] ~= 1 then
      problem("dead letter", "%s: event %s has %d", where, text_of(name), letters[name] or 0)
    end
    if letters[name] and not refused then
      problem("dead letter", "%s: event %s was not refused", where, text_of(name))
    end
  end
  for name in pairs(seen) do
    if not all[name] then problem("astray", "%s: event %s is not in all", where, text_of(name)) end
  end
end

local function goes_to(name)
  return function(data) return (" " .. data.to .. " "):find(" " .. name .. " ", 1, true) ~= nil end
end

local all, again = take("all", outputs "all", true)
local function judge(where, lines, is_ordered, wanted, refused)
  local seen, twice = take(where, lines, is_ordered)
  again = again + twice
  check_backend(where, seen, all, wanted, refused)
  return twice
end

judge("lua", outputs "lua", true, goes_to "lua", function(n) return n % 17 == 3 end)
judge("host", outputs "host", false, goes_to "host", function(n) return n % 13 == 5 end)
judge("extra", outputs "extra", true, goes_to "extra")
judge("sub/file", outputs "sub", true, function(data) return goes_to "sub"(data) and data.n % 4 == 0 end)
local rows = "sqlite3 out/events.db 'SELECT event FROM events ORDER BY rowid'"
local doubled = judge("sub/db", lines_of(rows), true, goes_to "sub")
if doubled > 0 then problem("twice", "sub/db: %d events", doubled) end

-- Acknowledged events; what a script drops is through as well.
local counted, acked, failed = {}, 0, 0
local failing = dead["processor:"] or {}
for n = 1, issued do
  local is = mark(n)
  acked = acked + (is == "a" and 1 or 0)
  failed = failed + (is == "f" and 1 or 0)
  local fails = n % 19 ~= 0 and n % 29 == 0
  if is == "a" and n % 19 ~= 0 and not fails then
    local first = n % 31 == 0 and n * 4 + 1 or n * 4
    if not all[first] or (n % 31 == 0 and not all[first + 1]) then
      problem("lost", "all: event %d was acknowledged", n)
    end
  end
  if fails and (failing[n * 4] or 0) > 1 or (fails and is == "a" and failing[n * 4] ~= 1) then
    problem("dead letter", "processor: event %d has %d", n, failing[n * 4] or 0)
  end
end

-- Counts that scripts keep.
local most = {}
for name, data in pairs(all) do
  if name % 4 < 2 then
    local counts = counted[data.key] or {}
    counted[data.key] = counts
    local c = math.tointeger(data.c)
    if counts[c] then
      problem("counted", "key %d: %d stands on %d and %d", data.key, c, counts[c], data.n)
    end
    counts[c] = data.n
    most[data.key] = math.max(most[data.key] or 0, c)
  end
end
for key, count in pairs(most) do
  for c = 1, count do
    if not counted[key][c] then problem("counted", "key %d: %d stands on no event", key, c) end
  end
end

local size = 0
for _ in pairs(all) do size = size + 1 end
print(("judge: %d issued, %d acknowledged, %d told as lost, %d in all, %d dead letters, %d delivered again")
  :format(issued, acked, failed, size, dead_count, again))
if size < 1 then problem("nothing", "no event came through") end
for kind, count in pairs(told) do print(("judge: %s: %d"):format(kind, count)) end
os.exit(problems == 0)
