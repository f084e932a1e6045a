--- tracker.lua: trackers, and their contexts with `<close>` or a function.

local core = require "tidewire.core"
local declare = require "tidewire.declare"
local tree = require "tidewire.router"

local M = {}

local misuse, describe = declare.misuse, declare.describe
local class = core.tracker
tree.extend(class)

local FIELDS = { "processors", "backends", "context_locator", "route", "on_failure", "on_dead" }
local LATER = { engine = true, sources = true }

--- A tracker with a script has these, and what its events go through is all in the script.
local ENGINE_OPTIONS = {
  "ack",
  "block_for",
  "commit",
  "dead",
  "delivery",
  "durability",
  "grants",
  "instruction_limit",
  "max_depth",
  "max_event",
  "memory_limit",
  "overload",
  "package_path",
  "partition_by",
  "queue",
  "reload",
  "spool",
  "sync",
  "time_limit",
  "watch",
  "workers",
}

local function check_locator(locator)
  if locator == nil or core.class(locator) == "locator" then
    return
  end
  local type_ = type(locator)
  if (type_ ~= "table" and type_ ~= "userdata") or core.class(locator) or not core.callable(locator.get) then
    misuse(
      "tracker: context_locator is %s without get; use one of tidewire.locators or an object with get",
      describe(locator)
    )
  end
end

--- The name under which the engine of a script stands.
local ENGINE = "engine"

--- What the script may name. Workers are threads of their own, on which no function of this
-- Lua state can run.
local function check_offers(offers)
  declare.optional("tracker: host_backends", offers, "table")
  for _, name in ipairs(declare.sorted_keys(offers or {})) do
    local where, class_ = ("tracker: host_backends.%s"):format(tostring(name)), core.class(offers[name])
    if type(name) ~= "string" then
      misuse("%s has no name; write name = backend", where)
    elseif class_ ~= "backend" then
      misuse(
        "%s is %s; it must be one of tidewire.backends: workers run on threads of their own, where "
          .. "functions of this Lua state cannot be called. A backend in Lua is written in the script",
        where,
        describe(offers[name])
      )
    end
  end
end

--- The names in a list, as the engine takes them.
local function joined(grants)
  declare.optional("tracker: grants", grants, "table")
  for i, name in ipairs(grants or {}) do
    declare.optional(("tracker: grants[%d]"):format(i), name, "string")
  end
  return grants and grants[1] and table.concat(grants, ",")
end

--- What a tracker without a script declares.
local function refuse_own(declared)
  for _, name in ipairs(FIELDS) do
    if declared[name] ~= nil and name ~= "context_locator" then
      misuse("tracker: '%s' stands in the script when there is one: its router has it", name)
    end
  end
end

local function scripted(declared)
  refuse_own(declared)
  local known = { "script", "context_locator", "host_backends" }
  declare.fields("tracker", declared, table.move(ENGINE_OPTIONS, 1, #ENGINE_OPTIONS, 4, known))
  declare.optional("tracker: script", declared.script, "string")
  check_offers(declared.host_backends)
  check_locator(declared.context_locator)
  if core.callable(declared.partition_by) then
    misuse "tracker: partition_by must be a path here; a function belongs into the script's own engine = { … }"
  end
  local options = {}
  for _, name in ipairs(ENGINE_OPTIONS) do
    options[name] = declared[name]
  end
  options.grants = joined(declared.grants)
  local engine = tree.must(core.new_engine(declared.script, options, declared.host_backends or {}))
  local self = tree.must(core.new_tracker(declared.context_locator))
  return tree.build(self, "tracker", { backends = { [ENGINE] = engine } })
end

--- Makes a tracker.
function M.tracker(declared)
  declared = declared == nil and {} or declared
  if type(declared) == "table" and declared.script ~= nil then
    return scripted(declared)
  end
  declare.fields("tracker", declared, FIELDS, LATER)
  check_locator(declared.context_locator)
  return tree.build(tree.must(core.new_tracker(declared.context_locator)), "tracker", declared)
end

--- An entered context that is left once: by `<close>`, or by hand with `close`.
local guard = { __name = "tidewire.entered", __metatable = false }
guard.__index = guard

function guard:close()
  local context = self.context
  self.context = nil
  if context then
    context:exit(self.name)
  end
end

--- Behind an error that is under way a second one would hide it.
function guard:__close(problem)
  if problem == nil then
    self:close()
  else
    pcall(self.close, self)
  end
end

local function located_context(self)
  return tree.must(core.locate(self))
end

local function enter(self, name, fields)
  local context = located_context(self)
  tree.must(context:enter(name, fields))
  return setmetatable({ context = context, name = name }, guard)
end

--- Enters a context and returns a value that leaves it when it is closed; or, with a
-- function, calls that inside of it and returns its results. Left also on an error.
class.methods.context = core.entry(function(self, name, fields, f, ...)
  if f == nil then
    return enter(self, name, fields)
  end
  declare.optional_function("context: function", f)
  local _ <close> = enter(self, name, fields)
  return f(...)
end)

--- Replaces the script by what its files hold now: true, or nil, message, code.
class.methods.reload = core.entry(function(self)
  return core.reload(core.holds(self).backends[ENGINE])
end)

class.methods.resolve_context = core.entry(function(self)
  return tree.must(located_context(self):resolve())
end)

class.getters.located_context = located_context

return M
