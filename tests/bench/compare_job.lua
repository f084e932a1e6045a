-- Checks that the two contenders wrote the same events: compare_job.lua FOLDER FOLDER.
-- Values are compared as lua-cjson reads them, since its loop keeps neither number text nor
-- key order.
local cjson = require "cjson"

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local total = 0
for _, name in ipairs { "archive", "video" } do
  local theirs = io.lines(arg[2] .. "/" .. name .. ".ndjson")
  for line in io.lines(arg[1] .. "/" .. name .. ".ndjson") do
    local other = theirs()
    total = total + 1
    if not other or not same(cjson.decode(line), cjson.decode(other)) then
      error(("%s.ndjson, event %d differs:\n%s\n%s"):format(name, total, line, other))
    end
  end
  assert(theirs() == nil, name .. ".ndjson: one contender wrote more events")
end
print(("both wrote the same %d events"):format(total))
