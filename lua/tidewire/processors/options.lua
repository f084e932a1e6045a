--- options.lua: how a processor of the library is declared, checked and made.
--
-- `constructor` and `fields` wrap a `build` function, so that every mistake in the options
-- is raised at the line that made the processor and begins with the processor's name.
-- `build` itself never raises: it returns a processor, or nil and what is wrong.

local core = require "tidewire.core"
local sorted_keys = require("tidewire.declare").sorted_keys

local M = {}

local ON_ERROR = { pass = true, drop = true, dead_letter = true }

--- What is wrong with a list of strings, or nil. An empty one is wrong: it would do nothing.
local function list_problem(list)
  if type(list) ~= "table" or #list == 0 then
    return "must be a list of strings with at least one"
  end
  for key, item in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #list or type(item) ~= "string" then
      return ("must hold only strings, but [%s] is a %s"):format(key, type(item))
    end
  end
end

local function type_problem(value, wanted)
  if wanted == "list" then
    return list_problem(value)
  elseif type(value) ~= wanted then
    return ("must be a %s, not a %s"):format(wanted, type(value))
  end
end

local function common_problem(given)
  if given.name ~= nil and type(given.name) ~= "string" then
    return ("option 'name' must be a string, not a %s"):format(type(given.name))
  elseif given.on_error ~= nil and not ON_ERROR[given.on_error] then
    return 'option \'on_error\' must be "pass", "drop" or "dead_letter"'
  end
end

local function unknown_problem(key, declared)
  local known = sorted_keys(declared)
  local nearest = core.suggest(tostring(key), known)
  if nearest then
    return ("unknown option '%s'; did you mean '%s'?"):format(key, nearest)
  elseif #known == 0 then
    return ("unexpected key '%s'; it takes a plain list"):format(key)
  end
  return ("unknown option '%s'; known are %s"):format(key, table.concat(known, ", "))
end

--- The first thing wrong with `given`, in the order of its keys, or nil.
local function problem_of(declared, positional, given)
  if type(given) ~= "table" then
    return ("options must be a table, not a %s"):format(type(given))
  end
  for _, key in ipairs(sorted_keys(given)) do
    local is_item = positional and math.type(key) == "integer"
    local problem
    if declared[key] == nil and not is_item then
      problem = unknown_problem(key, declared)
    elseif not is_item and declared[key] ~= "common" then
      problem = type_problem(given[key], declared[key])
      problem = problem and ("option '%s' %s"):format(key, problem)
    end
    if problem then
      return problem
    end
  end
  return common_problem(given)
end

--- The items of `given` without its named options, or nil and what is wrong with them.
local function items_of(given, positional)
  local items = {}
  for key, item in pairs(given) do
    if math.type(key) == "integer" then
      items[key] = item
    end
  end
  local problem = list_problem(items)
  if problem then
    return nil, ("the %ss %s"):format(positional, problem)
  end
  return items
end

local function try(declared, positional, build, given)
  local problem = problem_of(declared, positional, given)
  if problem then
    return nil, problem
  elseif not positional then
    return build(given)
  end
  local items, item_problem = items_of(given, positional)
  if not items then
    return nil, item_problem
  end
  return build(given, items)
end

local function raise_at_user(name, message)
  core.misuse(name .. ": " .. message)
end

--- Adds the options that every processor in Lua has.
function M.common(declared)
  declared.name = "common"
  declared.on_error = "common"
  return declared
end

--- A function `options -> processor`.
-- `declared` maps each option to its type: a Lua type's name, or "list" for a list of strings.
-- `positional`, when given, says what the table's own items are, such as "path".
function M.constructor(name, declared, build, positional)
  return core.entry(function(given)
    local processor, message = try(declared, positional, build, given)
    if not processor then
      raise_at_user(name, message)
    end
    return processor
  end)
end

--- A function `{ [path] = value } -> processor`: the table holds fields, and no options.
-- `build` gets the fields as a list of `{ path, value }`, in ascending order of path.
function M.fields(name, build)
  return core.entry(function(given)
    if type(given) ~= "table" or next(given) == nil then
      raise_at_user(name, "needs a table with at least one field")
    end
    local fields = {}
    for i, key in ipairs(sorted_keys(given)) do
      if type(key) ~= "string" then
        local what = ("a field must be named by a string, not by the %s %s"):format(type(key), tostring(key))
        raise_at_user(name, what)
      end
      fields[i] = { key, given[key] }
    end
    local processor, message = build(fields)
    if not processor then
      raise_at_user(name, message)
    end
    return processor
  end)
end

local callable = {
  __name = "tidewire.processor",
  __metatable = "tidewire.processor", -- by which a router knows it
  __call = function(self, event)
    return self[1](event)
  end,
}

--- A processor from its function: callable, and an entry for a list of processors. One that
-- emits on its own gets, by `attach(home)`, the router or tracker that it is in.
function M.processor(name, f, given, on_error, attach)
  given = given or {}
  return setmetatable({
    f,
    name = given.name or name,
    on_error = given.on_error or on_error or "pass",
    attach = attach,
  }, callable)
end

return M
