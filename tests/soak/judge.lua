-- judge.lua FOLDER [whole]: are all lines written whole JSON, and, unless only that is asked,
-- does the summary account for every line of the input?
local cjson = require "cjson"

local folder, only_whole = arg[1], arg[2] == "whole"

local function files(pattern)
  local list = io.popen(("ls %s/%s 2>/dev/null"):format(folder, pattern))
  local names = {}
  for name in list:lines() do names[#names + 1] = name end
  list:close()
  return names
end

local function check_lines(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "a"
  file:close()
  if only_whole then text = text:gsub("[^\n]*$", "") end -- the last write may be cut by the kill
  local count = 0
  for line in text:gmatch "[^\n]*\n" do
    local ok, message = pcall(cjson.decode, line)
    if not ok then error(("%s: line %d: %s\n%s"):format(name, count + 1, message, line)) end
    count = count + 1
  end
  return count
end

local written = 0
for _, pattern in ipairs { "out/*.ndjson*", "rejects.ndjson", "dead.ndjson" } do
  for _, name in ipairs(files(pattern)) do written = written + check_lines(name) end
end
if only_whole then os.exit(0) end

local summary = cjson.decode(assert(io.open(folder .. "/summary.json")):read "a":match "{.*}")
local lines = 0
for _ in io.lines(folder .. "/in.ndjson") do lines = lines + 1 end
assert(summary.read + summary.blank == lines, ("read %d + blank %d of %d lines"):format(summary.read, summary.blank, lines))
assert(
  summary.read == summary.routed + summary.dropped + summary.rejected,
  ("read %d = routed %d + dropped %d + rejected %d"):format(summary.read, summary.routed, summary.dropped, summary.rejected)
)
assert(written > 0, "nothing was written")
