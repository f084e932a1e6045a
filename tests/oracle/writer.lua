-- Writes a log that grows and rotates: writer.lua FIRST LAST [SEED]. A rotation renames the file, as
-- logrotate does, and may come at any moment; lines are written in pieces that end anywhere.
local first, last, rotations = tonumber(arg[1]), tonumber(arg[2]), 0
local file = assert(io.open("app.log", "a"))
file:setvbuf "no"

local function nap() os.execute "sleep 0.01" end

local function rotate()
  file:close()
  rotations = rotations + 1
  assert(os.rename("app.log", ("app.log.%d"):format(rotations)))
  file = assert(io.open("app.log", "a"))
  file:setvbuf "no"
end

math.randomseed(tonumber(arg[3]) or 1)
for n = first, last do
  local line = ('{"id":"e%d","n":%d,"pad":"%s"}\n'):format(n, n, ("x"):rep(n % 90))
  local cut = math.random(#line)
  file:write(line:sub(1, cut))
  file:write(line:sub(cut + 1))
  if n % 25 == 0 then nap() end
  if n > 10 and math.random(900) == 1 then rotate() end
end
file:close()
print(("writer: lines %d to %d, %d rotations"):format(first, last, rotations))
