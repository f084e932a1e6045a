--- declare.lua: checks of what users declare. Each mistake is raised at the user's line.

local core = require "tidewire.core"

local M = {}

function M.misuse(format, ...)
  core.misuse(format:format(...))
end
local misuse = M.misuse

--- "a string", "a router": what a value is, for messages.
function M.describe(value)
  local what = core.class(value) or type(value)
  return what == "nil" and "nil" or "a " .. what
end

--- The keys of a table in ascending order of their text.
function M.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function unknown(where, key, known)
  if type(key) ~= "string" then
    misuse("%s: unexpected item [%s]; its fields are %s", where, tostring(key), table.concat(known, ", "))
  end
  local nearest = core.suggest(key, known)
  if nearest then
    misuse("%s: unknown field '%s'; did you mean '%s'?", where, key, nearest)
  end
  misuse("%s: unknown field '%s'; its fields are %s", where, key, table.concat(known, ", "))
end

--- Raises unless every key of `declared` is in the list `known`. `later` names fields of
-- versions to come, which must not be ignored silently.
function M.fields(where, declared, known, later)
  if type(declared) ~= "table" then
    misuse("%s: declare it with a table, not %s", where, M.describe(declared))
  end
  local is_known = {}
  for _, name in ipairs(known) do
    is_known[name] = true
  end
  for _, key in ipairs(M.sorted_keys(declared)) do
    if later and later[key] then
      misuse("%s: field '%s' is not supported yet in this version", where, key)
    elseif not is_known[key] then
      unknown(where, key, known)
    end
  end
end

local STRICTNESS = { pass = 1, drop = 2, dead_letter = 3 }
M.ON_ERROR = STRICTNESS

--- Whichever of two `on_error` lets less through.
function M.stricter(a, b)
  return STRICTNESS[b] > STRICTNESS[a] and b or a
end

--- What an entry of a list of processors declares for its failures: itself, or the processor
-- that it wraps, whichever lets less through; nil when neither does.
function M.on_error_of(entry)
  if core.class(entry) == "processor" then
    return core.on_error(entry)
  elseif type(entry) ~= "table" then
    return nil
  end
  local own, inner = entry.on_error, M.on_error_of(rawget(entry, 1))
  return own and inner and M.stricter(own, inner) or own or inner
end

--- Whether the last item is what `require` returns behind a module: `{ require "a" }` holds
-- the module and the name of its file.
function M.is_loader_data(list, count)
  if count < 2 or type(list[count]) ~= "string" then
    return false
  end
  for _, module in pairs(package.loaded) do
    if rawequal(module, list[count - 1]) then
      return true
    end
  end
  return false
end

--- Raises unless `value` is nil or of a type.
function M.optional(where, value, wanted)
  if value ~= nil and type(value) ~= wanted then
    misuse("%s must be a %s, not %s", where, wanted, M.describe(value))
  end
end

--- Raises unless `name` is a text.
function M.named(where, name)
  if type(name) ~= "string" or name:find "%z" then
    misuse('%s: write the name of what the host offers, as in %s "name", not %s', where, where, M.describe(name))
  end
end

local deliveries = setmetatable({}, { __mode = "k" })

--- Keeps how an outbox is to deliver to a backend, until a router takes it.
function M.keep_delivery(backend, delivery)
  deliveries[backend] = delivery
end

local function index(t, key)
  return t[key]
end

--- What was kept, or is the field of an object in Lua, which may know no such field.
function M.delivery_of(backend)
  if core.class(backend) then
    return deliveries[backend]
  end
  local ok, delivery = pcall(index, backend, "delivery")
  return ok and delivery or nil
end

--- Raises unless `value` is nil or can be called.
function M.optional_function(where, value)
  if value ~= nil and not core.callable(value) then
    misuse("%s must be a function, not %s", where, M.describe(value))
  end
end

return M
