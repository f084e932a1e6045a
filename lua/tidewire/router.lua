--- router.lua: routers, and what trackers share with them: processors, backends, observers.

local core = require "tidewire.core"
local declare = require "tidewire.declare"
local state = require "tidewire.state"

local M = {}

local misuse, describe = declare.misuse, declare.describe

--- Raises what a C function of the core reports as a failure: here only want of memory.
local function must(ok, message)
  if not ok then
    misuse("%s", message)
  end
  return ok
end
M.must = must

-- ------------------------------------------------------------ processors

local ENTRY_FIELDS = { "name", "on_error" }

--- What is called for an entry: the entry, or its first item.
local function function_of(entry)
  local class = core.class(entry)
  if class == "processor" or (class == nil and type(entry) ~= "table" and core.callable(entry)) then
    return entry
  end
  local first = type(entry) == "table" and rawget(entry, 1)
  if first and (core.class(first) == "processor" or core.callable(first)) then
    return first
  end
  return class == nil and core.callable(entry) and entry or nil
end

local function check_entry(where, entry)
  if getmetatable(entry) == nil and rawget(entry, 1) ~= nil then
    local named = {}
    for key, value in pairs(entry) do
      named[key] = key ~= 1 and value or nil
    end
    declare.fields(where, named, ENTRY_FIELDS)
    declare.optional(where .. ": name", entry.name, "string")
  end
  local on_error = entry.on_error
  if on_error ~= nil and not declare.ON_ERROR[on_error] then
    misuse('%s: on_error must be "pass", "drop" or "dead_letter", not %s', where, tostring(on_error))
  end
end

local function add_processor(self, entry, where)
  local f = function_of(entry)
  if f == nil then
    misuse(
      "%s is %s, which cannot be called; a processor is a function, a callable object, "
        .. "or { function, name = , on_error = }",
      where,
      describe(entry)
    )
  end
  local name, on_error
  if type(entry) == "table" then
    check_entry(where, entry)
    name, on_error = entry.name or type(f) == "table" and f.name, declare.on_error_of(entry)
    if core.class(f) == "processor" and (entry.name or entry.on_error) then
      misuse("%s: a processor in C has the name and on_error that it was made with, and no other", where)
    elseif entry.on_error == "pass" and on_error ~= "pass" then
      misuse('%s: on_error = "pass" would undo the "%s" of the processor in it', where, on_error)
    end
  end
  name = type(name) == "string" and name or core.where(f) or "processor"
  must(core.add_processor(self, f, name, on_error, entry))
  M.attach(entry, self)
end

--- Tells a processor of the library, and those in it, where they are: some emit on their own.
function M.attach(entry, home)
  if type(entry) ~= "table" then
    return
  end
  local meta = getmetatable(entry)
  if meta == nil then
    M.attach(entry[1], home)
  elseif meta == "tidewire.processor" and entry.attach then
    entry.attach(home)
  end
end

local function add_processors(self, where, list)
  declare.optional(where .. ": processors", list, "table")
  local count = #(list or {})
  for _, key in ipairs(declare.sorted_keys(list or {})) do
    if math.type(key) ~= "integer" or key < 1 or key > count then
      misuse("%s: processors must be a list, but it has the key '%s'", where, tostring(key))
    end
  end
  if count > 0 and declare.is_loader_data(list, count) then
    count = count - 1
  end
  for i = 1, count do
    add_processor(self, list[i], ("%s: processors[%d]"):format(where, i))
  end
end

-- -------------------------------------------------------------- observers

--- Trackers and routers that no other router holds and that have no observer of their own.
local roots = setmetatable({}, { __mode = "k" })
local default_failure

local function print_failure(failure)
  io.stderr:write(("tidewire: %s %s: %s\n"):format(failure.where, failure.name or failure.path, failure.message))
end

local function observe(self, where, declared)
  local on_failure, on_dead = declared.on_failure, declared.on_dead
  declare.optional_function(where .. ": on_failure", on_failure)
  declare.optional_function(where .. ": on_dead", on_dead)
  if on_failure or on_dead then
    must(core.set_observer(self, on_failure or default_failure or print_failure, on_dead))
    return
  end
  roots[self] = true
  if default_failure then
    must(core.set_observer(self, default_failure))
  end
end

--- Sets who is told of failures where a tracker or router has no `on_failure` of its own;
-- nil restores standard error.
function M.on_error(f)
  declare.optional_function("on_error: function", f)
  default_failure = f
  for root in pairs(roots) do
    pcall(core.set_observer, root, f) -- one that is being collected is closed
  end
end

local parents = setmetatable({}, { __mode = "k" })

--- The router or tracker that events of a tree enter.
function M.top_of(tree)
  while parents[tree] do
    tree = parents[tree]
  end
  return tree
end

--- A router below another one tells the observers above it.
local function adopt(child, parent)
  parents[child] = parents[child] or parent
  if roots[child] then
    roots[child] = nil
    must(core.set_observer(child))
  end
end

-- --------------------------------------------------------------- backends

local function has_send(value)
  if type(value) ~= "table" and type(value) ~= "userdata" then
    return false
  end
  local ok, found = pcall(function()
    return core.callable(value.send) or core.callable(value.send_batch)
  end)
  return ok and found
end

local function add_backend(self, name, backend, where)
  local class = core.class(backend)
  if name:find "%c" then
    misuse("%s: a name must not hold control characters", (where:gsub("%c", "?")))
  elseif class == "router" and core.holds(backend).engine then
    misuse("%s has the field 'engine', which only the root may have", where)
  elseif class == "tracker" then
    misuse("%s is a tracker; use a router, or a backend that emits into it", where)
  elseif class ~= "router" and class ~= "backend" and not has_send(backend) then
    misuse(
      "%s is %s without send; a backend is one of tidewire.backends, a router, "
        .. "or an object with send or send_batch",
      where,
      describe(backend)
    )
  end
  local delivery = declare.delivery_of(backend)
  if delivery ~= nil then
    declare.optional(where .. ": delivery", delivery, "table")
    must(core.check_delivery(delivery, where .. ": delivery"))
  end
  if not class and core.rehearsal() then
    backend = core.new_backend("memory", {})
  end
  must(core.add_backend(self, name, backend))
  if delivery then
    must(core.set_delivery(self, name, delivery))
  end
  if class == "router" then
    adopt(backend, self)
  end
end

local function add_backends(self, where, backends)
  declare.optional(where .. ": backends", backends, "table")
  for _, name in ipairs(declare.sorted_keys(backends or {})) do
    if type(name) ~= "string" then
      misuse("%s: backends[%s] has no name; write name = backend", where, tostring(name))
    end
    add_backend(self, name, backends[name], ("%s: backends.%s"):format(where, name))
  end
end

-- ---------------------------------------------------------------- methods

local function register_processor(self, entry)
  add_processor(self, entry, "register_processor: processor")
end

local function register_backend(self, name, backend)
  if type(name) ~= "string" then
    misuse("register_backend: name must be a string, not %s", describe(name))
  end
  add_backend(self, name, backend, ("register_backend: backend '%s'"):format(name))
end

--- The backend or router of a name; an unknown one is an error that lists the known names.
local function get_backend(self, name)
  if type(name) ~= "string" then
    misuse("get_backend: name must be a string, not %s", describe(name))
  end
  return core.holds(self).backends[name] or must(core.child(self, name))
end

local function backends(self)
  local found = {}
  for name in core.children(self):gmatch "[^\n]+" do
    found[name] = get_backend(self, name)
  end
  return found
end

local function processors(self)
  local list = core.holds(self).processors
  return table.move(list, 1, #list, 1, {})
end

-- ---------------------------------------------------------------- closing

--- What processors hold back goes out before their router closes: by tree, in order.
local closers = setmetatable({}, { __mode = "k" })

--- Has `f(reason)` called before a tree is closed.
function M.before_close(tree, f)
  closers[tree] = closers[tree] or {}
  table.insert(closers[tree], f)
end

local function tell(tree, f, message)
  local name = type(f) == "function" and core.where(f) or "on_close"
  if not core.report(tree, "close", name, tostring(message)) then
    (default_failure or print_failure) { where = "close", name = name, message = tostring(message) }
  end
end

local function finish(tree, reason)
  local list = closers[tree] or {}
  closers[tree] = nil
  for _, f in ipairs(list) do
    local ok, message = pcall(f, reason)
    if not ok then
      tell(M.top_of(tree), f, message)
    end
  end
end

local function finish_below(tree)
  finish(tree, "end")
  for _, child in pairs(core.holds(tree).backends) do
    if core.class(child) == "router" then
      finish_below(child)
    end
  end
end

--- For C, before a script's router is closed, or before another generation takes over.
function M.finish_script(reason)
  local trees = {}
  for tree in pairs(closers) do
    trees[#trees + 1] = tree
  end
  for _, tree in ipairs(trees) do
    finish(tree, reason)
  end
  state.close(reason, function(f, message)
    tell(nil, f, message)
  end)
end

local function closing(close)
  return function(self)
    if next(closers) and core.class(self) then
      finish_below(self)
    end
    if core.class(self) and not parents[self] then
      state.close("end", function(f, message)
        tell(self, f, message)
      end)
    end
    return close(self)
  end
end

local function close(self)
  self:close()
end

--- Adds to a class what routers and trackers share.
function M.extend(class)
  class.methods.close = core.entry(closing(class.methods.close))
  class.methods.tick = core.tick
  class.methods.register_processor = core.entry(register_processor)
  class.methods.register_backend = core.entry(register_backend)
  class.methods.get_backend = core.entry(get_backend)
  class.getters.backends = backends
  class.getters.processors = processors
  class.meta.__close = close
end
M.extend(core.router)

--- Gives a new router or tracker what it was declared with.
function M.build(self, where, declared)
  declare.optional_function(where .. ": route", declared.route)
  add_processors(self, where, declared.processors)
  add_backends(self, where, declared.backends)
  if declared.route then
    must(core.set_route(self, declared.route))
  end
  observe(self, where, declared)
  return self
end

local FIELDS = { "processors", "route", "backends", "on_failure", "on_dead", "tests", "engine" }
local LATER = { sources = true }

--- A function as `partition_by` is kept apart from what is written as JSON.
local function keep_engine(holds, engine)
  if engine and core.callable(engine.partition_by) then
    local rest = {}
    for name, value in pairs(engine) do
      rest[name] = name ~= "partition_by" and value or nil
    end
    holds.partition_by, engine = engine.partition_by, rest
  end
  holds.engine = engine
end

--- Makes a router.
function M.router(declared)
  declare.fields("router", declared, FIELDS, LATER)
  declare.optional("router: tests", declared.tests, "table")
  declare.optional("router: engine", declared.engine, "table")
  local self = M.build(must(core.new_router()), "router", declared)
  local holds = core.holds(self)
  holds.tests = declared.tests
  keep_engine(holds, declared.engine)
  return self
end

return M
