--- state.lua: tables that survive a reload, and what a generation does last.
--
-- A declared state is one table for the life of the script: what another generation has
-- exported is put *into* it, so that whoever holds it sees the new contents. Values are
-- written as JSON by the exact writer of events, which keeps integers and floats apart.

local core = require "tidewire.core"
local declare = require "tidewire.declare"
local timers = require "tidewire.timers"
local tw = require "tidewire"

local M = {}

local misuse = declare.misuse
local FIELDS = { "version", "init", "migrate", "loaded" }
local TIMERS = "tidewire.timers"

local declared = {} -- name -> { version, value, migrate, loaded, where }

local function check(name, options)
  if type(name) ~= "string" or name == "" then
    misuse("state: name must be a string that is not empty, not %s", declare.describe(name))
  elseif not utf8.len(name) then
    misuse "state: name must be UTF-8"
  elseif name:find "^tidewire%." then
    misuse("state: names with 'tidewire.' in front are the library's own; choose another than '%s'", name)
  elseif declared[name] then
    misuse("state: '%s' is declared twice; keep the table of the first", name)
  end
  declare.fields("state", options, FIELDS)
  if options.version ~= nil and math.type(options.version) ~= "integer" then
    misuse("state: version must be an integer, not %s", tostring(options.version))
  end
  for _, field in ipairs { "init", "migrate", "loaded" } do
    declare.optional_function("state: " .. field, options[field])
  end
end

local function check_value(where, value)
  if type(value) ~= "table" then
    misuse("%s must give a table, not %s", where, declare.describe(value))
  end
  return value
end

--- A table of this name, which outlives the script: the next generation gets it, through its
-- `migrate(old, old_version)` when the version has changed. `init()` makes the first one.
M.state = core.entry(function(name, options)
  options = options == nil and {} or options
  check(name, options)
  local value = options.init and check_value("state: init", options.init()) or {}
  declared[name] = {
    version = options.version or 1,
    value = value,
    migrate = options.migrate,
    loaded = options.loaded,
    where = core.here(),
  }
  return value
end)

-- ---------------------------------------------------------------- export

local function write(name, version, value)
  local text, message = core.write_json(value, "state." .. name)
  if not text then
    error((message:gsub("an event$", "a state", 1):gsub("of an event", "of a state", 1)), 0)
  end
  return ('%s:{"version":%d,"value":%s}'):format(tw.encode(name), version, text)
end

local LARGEST = 32 * 1024 * 1024 -- bytes that the reader of JSON takes

--- All states as JSON text: {name: {version, value}}.
function M.export()
  local parts = {}
  for i, name in ipairs(declare.sorted_keys(declared)) do
    parts[i] = write(name, declared[name].version, declared[name].value)
  end
  local rhythm = timers.rhythm()
  if next(rhythm) then
    parts[#parts + 1] = write(TIMERS, 1, rhythm)
  end
  local json = "{" .. table.concat(parts, ",") .. "}"
  if #json > LARGEST then
    error(("state: %d bytes of JSON; a reload hands over 32 MiB: keep less in tw.state"):format(#json), 0)
  end
  return json
end

-- ---------------------------------------------------------------- import

local function migrated(name, own, old, version)
  if version == own.version then
    return old
  elseif not own.migrate then
    local what = "%sstate '%s' has version %s, the script declares %d and no migrate; add one, or choose a new name"
    error(what:format(own.where, name, version, own.version), 0)
  end
  local value = own.migrate(old, version)
  if value ~= nil and type(value) ~= "table" then
    error(("%sstate '%s': migrate must give a table, not a %s"):format(own.where, name, type(value)), 0)
  end
  return value or old
end

--- A table's metatable, or that it is an array: that mark cannot be seen, nor taken away.
local function copy_mark(target, source)
  local own, other = getmetatable(target), getmetatable(source)
  if own ~= false and other ~= false then
    setmetatable(target, other)
  elseif own == nil then
    tw.array(target)
  end
end

local function replace(target, source)
  if target == source then
    return
  end
  for key in pairs(target) do
    target[key] = nil
  end
  for key, value in pairs(source) do
    target[key] = value
  end
  copy_mark(target, source)
end

--- Takes over what `export` wrote. Nothing is changed unless every `migrate` succeeds.
function M.import(json)
  local given, message = core.read_json(json)
  if not given then
    error("the exported state cannot be read: " .. message, 0)
  end
  local values = {}
  for name, own in pairs(declared) do
    local entry = given[name]
    if entry then
      values[name] = migrated(name, own, tw.totable(entry.value), entry.version)
    end
  end
  for name, value in pairs(values) do
    local own = declared[name]
    replace(own.value, value)
    if own.loaded then
      own.loaded(own.value)
    end
  end
  timers.take_rhythm(given[TIMERS] and tw.totable(given[TIMERS].value) or {})
end

-- ----------------------------------------------------------------- close

local closers = {} -- what on_close was given, in order

--- Calls `f(reason)` when the script ends: "end", or "reload" when another generation follows.
M.on_close = core.entry(function(f)
  if not core.callable(f) then
    misuse("on_close: 'f' must be a function, not %s", declare.describe(f))
  end
  closers[#closers + 1] = f
end)

--- Calls them, once. @param tell  gets the function and the message of what fails
function M.close(reason, tell)
  local list = closers
  closers = {}
  for _, f in ipairs(list) do
    local ok, message = pcall(f, reason)
    if not ok then
      tell(f, message)
    end
  end
end

-- ---------------------------------------------------------------- shared

local stores = {} -- held, so that a store lives as long as a state that uses it
local BOUNDS = { "max_entries", "max_bytes" }

--- A store of keys and values that all states of the process share.
M.shared = core.entry(function(name, bounds)
  if type(name) ~= "string" or name == "" or name:find "%z" then
    misuse("shared: name must be a string that is not empty, not %s", declare.describe(name))
  end
  bounds = bounds == nil and {} or bounds
  declare.fields("shared", bounds, BOUNDS)
  for _, field in ipairs(BOUNDS) do
    local bound = bounds[field]
    if bound ~= nil and (math.type(bound) ~= "integer" or bound < 1) then
      misuse("shared: %s must be a positive integer, not %s", field, tostring(bound))
    end
  end
  local message
  if not stores[name] then
    stores[name], message = core.open_shared(name, bounds.max_entries, bounds.max_bytes)
  end
  return stores[name] or misuse("shared: %s", message)
end)

return M
