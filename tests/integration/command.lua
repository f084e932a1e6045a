-- The command as a person runs it: in a folder of its own, with files around it.
-- The environment names it: TIDEWIRE=build/dev/tidewire.
local busted = require "busted"
local cjson = require "cjson"

local M = {}

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  assert(pipe:close(), command)
  return (text:gsub("\n$", ""))
end

local program = output_of("realpath " .. (os.getenv "TIDEWIRE" or "build/dev/tidewire"))

-- A spec itself may run with a sanitizer's runtime preloaded; the command brings its own,
-- and tools of the system do not always bear it.
local plain = "unset LD_PRELOAD; "
local environment = "env ASAN_OPTIONS=detect_leaks=1"

--- Whether the command is slowed and swollen by a sanitizer.
M.sanitized = (os.getenv "TIDEWIRE_SANITIZE" or "") ~= ""

function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- A shell function that waits for a condition at most ten seconds.
M.wait_for = "wait_for() { i=0; until eval \"$1\" || [ $i = 500 ]; do sleep 0.02; i=$((i+1)); done; }; "

--- The shell words that start the command.
function M.words(arguments) return environment .. " " .. program .. " " .. arguments end

local Folder = {}
Folder.__index = Folder

--- A new empty folder; `folder:remove()` when done.
function M.folder() return setmetatable({ path = output_of "mktemp -d" }, Folder) end

function Folder:remove() os.execute("rm -rf " .. M.quote(self.path)) end

function Folder:file(name) return self.path .. "/" .. name end

function Folder:write(name, text)
  local file = assert(io.open(self:file(name), "wb"))
  assert(file:write(text))
  assert(file:close())
  return name
end

--- The text of a file, nil when it is not there.
function Folder:read(name)
  local file = io.open(self:file(name), "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- The lines of an NDJSON file, decoded.
function Folder:records(name)
  local list = {}
  for line in (self:read(name) or ""):gmatch "[^\n]+" do
    list[#list + 1] = cjson.decode(line)
  end
  return list
end

--- Called in a `describe`: a folder that is made with these files before each of its tests, and
--- removed behind it.
function M.folder_for_each(files)
  local folder = setmetatable({}, Folder)
  busted.before_each(function()
    folder.path = M.folder().path
    for name, text in pairs(files) do
      folder:write(name, text)
    end
  end)
  busted.after_each(function() folder:remove() end)
  return folder
end

--- Runs a shell command in the folder. Returns status, standard output, standard error.
function Folder:shell(command)
  local _, how, status = os.execute((plain .. "cd %s && { %s; } >.out 2>.err"):format(M.quote(self.path), command))
  if how == "signal" then status = 128 + status end
  return status, self:read ".out", self:read ".err"
end

--- Runs `tidewire ARGUMENTS`. `input` is its standard input, by default nothing.
--- Returns { status, out, err, summary }: the last decoded when it was asked for.
function Folder:tidewire(arguments, input)
  self:write(".in", input or "")
  local result = {}
  result.status, result.out, result.err = self:shell(M.words(arguments) .. " <.in")
  result.summary = M.summary(result.err)
  return result
end

--- The summary of --json in what went to standard error.
function M.summary(err)
  local last
  for line in err:gmatch "[^\n]+" do
    if line:sub(1, 1) == "{" then last = line end
  end
  return last and cjson.decode(last)
end

--- A router script that copies every event to out.ndjson.
M.copy = [[
local tw = require "tidewire"
return tw.router { backends = { out = tw.backends.file { path = "out.ndjson" } } }
]]

return M
