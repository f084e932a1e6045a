---@meta tidewire

-- Types of the module `tidewire` for editors (LuaCATS). As a chunk it returns a table with
-- the same keys as the module, which a spec compares.

--- An event, or an object or array inside of one. It behaves like a table: fields are read
--- and written, `pairs`, `ipairs`, `#`, `table.insert` and the like work, arrays count from
--- 1, assigning nil removes a field, and `tostring` gives the JSON. A view of an event that
--- has ended raises an error.
---@class tidewire.View
---@field name? string  of an event
---@field timestamp? string  of an event: RFC 3339, UTC, microseconds
---@field data? tidewire.View  of an event
---@field context? tidewire.View  of an event
---@field id? string  of an event: its id, also when the JSON has no field `id`
---@field [string|integer] any

---@alias tidewire.Event tidewire.View|table<string, any>

--- What a processor returns: nothing to go on with the event as edited, another event, a list
--- of events, or false to drop it.
---@alias tidewire.Processor fun(event: tidewire.View): (tidewire.Event|tidewire.Event[]|false|nil)

---@alias tidewire.OnError "pass"|"drop"|"dead_letter"

---@class tidewire.ProcessorEntry
---@field [1] tidewire.Processor
---@field name? string  for messages
---@field on_error? tidewire.OnError  what becomes of an event whose processor fails; "pass"

---@alias tidewire.AnyProcessor tidewire.Processor|tidewire.ProcessorEntry

--- What a backend says beyond that it failed; made with `permanent`, `retry` or `disabled`, to
--- be returned or raised.
---@class tidewire.Answer

--- A backend in Lua has `send` or `send_batch`. They accept with nothing, nil or true, and
--- fail with false or nil and a message, an answer, or an error.
---@class tidewire.LuaBackend
---@field send? fun(self: table, event: tidewire.View): (boolean|tidewire.Answer|nil, string?)
---@field send_batch? fun(self: table, events: tidewire.View[]): (boolean|tidewire.Answer|nil, string?)
---@field open? fun(self: table): (boolean|tidewire.Answer|nil, string?)
---@field flush? fun(self: table): (boolean|tidewire.Answer|nil, string?)
---@field close? fun(self: table)
---@field delivery? tidewire.DeliveryOptions

---@class tidewire.BatchOptions  a batch is full with either
---@field events? integer  1000
---@field bytes? tidewire.Size  1 MiB
---@field seconds? tidewire.Duration  how long one that is not full waits for more; 0

---@class tidewire.RetryOptions
---@field min? tidewire.Duration  100 ms
---@field max? tidewire.Duration  30 s
---@field attempts? integer|"none"  before an event is a dead letter; without end

---@class tidewire.BreakerOptions
---@field failures? integer  in a row that open it; 5
---@field rest? tidewire.Duration  5 s
---@field probes? integer  successes that close it again; 1

--- How an outbox delivers to its backend.
---@class tidewire.DeliveryOptions
---@field batch? tidewire.BatchOptions
---@field retry? tidewire.RetryOptions
---@field breaker? tidewire.BreakerOptions
---@field timeout? tidewire.Duration|"none"  of one call; 30 s
---@field max_in_flight? integer  calls at the same time; 1
---@field max_events? integer|"none"  that wait, at most; in memory 100000, in a spool "none"
---@field max_bytes? tidewire.Size|"none"  of their text; in memory 64 MiB, in a spool "none"
---@field overload? "block"|"drop_newest"|"drop_oldest"  at these bounds; "block"

--- What to do when an emit is done, and how much its event matters.
---@class tidewire.EmitOptions
---@field priority? tidewire.Priority
---@field ack? fun(ok: true?, message: string?, code: string?)  called once, when it is certain what became of the event; in programs only

---@alias tidewire.Priority "high"|"normal"|"low"

---@class tidewire.BackendStats
---@field sent integer  events accepted and not lost
---@field failed integer  events that it did not take, or lost later
---@field duplicate integer  of `sent`: events it had already

---@class tidewire.Backend
local Backend = {}
--- What has happened at it: events sent, failed, and had already.
---@return tidewire.BackendStats
function Backend:stats() end
--- Of a memory backend: how many events it holds.
---@return integer
function Backend:count() end
--- Of a memory backend: event `index`, from 1.
---@param index integer
---@return tidewire.View?
function Backend:get(index) end
--- Of a memory backend: all events.
---@return tidewire.View[]
function Backend:events() end

---@alias tidewire.AnyBackend tidewire.Backend|tidewire.Router|tidewire.LuaBackend

---@class tidewire.Failure
---@field where "processor"|"route"|"backend"|"timer"|"close"|"state"|"ack"|"breaker"
---@field path string  of the router or backend in the tree
---@field name? string  of the processor, the timer or the function
---@field event? tidewire.View  valid during the call
---@field events integer  how many events are concerned
---@field message string
---@field code string
---@field traceback? string  of an error in Lua

---@class tidewire.RouterStats
---@field received integer  events that entered
---@field dropped integer  ended by a processor
---@field unrouted integer  that the route sent to no backend
---@field failed integer  failures of processors and of the route
---@field dead integer  handed to `on_dead`

--- What routers and trackers share.
---@class tidewire.Tree
---@field backends table<string, tidewire.AnyBackend>  a copy
---@field processors tidewire.AnyProcessor[]  in order; a copy
local Tree = {}
--- Appends a processor; it holds for events that enter later.
---@param processor tidewire.AnyProcessor
function Tree:register_processor(processor) end
--- Hangs a backend or router below, under a name that is not taken.
---@param name string
---@param backend tidewire.AnyBackend
function Tree:register_backend(name, backend) end
--- An unknown name is an error that lists the known ones.
---@param name string
---@return tidewire.AnyBackend
function Tree:get_backend(name) end
--- Opens every backend; the first event does it otherwise.
---@return true? ok, string? message, string? code
function Tree:open() end
--- Routes an event as it is.
---@param event tidewire.Event
---@param more? boolean  another event follows at once, and a flush after the last
---@return true? ok, string? message, string? code
function Tree:send(event, more) end
--- Waits until all that was sent before is with its backends, or in their outboxes as durably as
--- these are; acknowledgements of it have been told then. A limit of time holds for what
--- a script's engine does.
---@param seconds? number  how long to wait at most; without it, without limit
---@return true? ok, string? message, string? code, integer? remaining  events that were not, in time
function Tree:flush(seconds) end
--- Flushes and closes every backend; the first failure is told.
---@return true? ok, string? message, string? code
function Tree:close() end
--- What has happened in this router, without those below.
---@return tidewire.RouterStats
function Tree:stats() end
--- Runs the timers that are due; `emit` and `send` do it too. A router script's are run for it.
function Tree:tick() end

---@class tidewire.Router: tidewire.Tree
local Router = Tree

---@class tidewire.RouterDeclaration
---@field processors? tidewire.AnyProcessor[]
---@field route? fun(event: tidewire.View): ...  names of backends, or a list of them; behind them `{ priority = }`
---@field backends? table<string, tidewire.AnyBackend>
---@field on_failure? fun(failure: tidewire.Failure)
---@field on_dead? fun(failure: tidewire.Failure)  gets events to keep: on_error = "dead_letter"
---@field tests? table[]  of the root: `{ "sentence", given = …, expect = … }`, run before it starts, before a reload and by `tidewire check`
---@field engine? tidewire.EngineOptions  of the root: how the engine runs it

---@class tidewire.Watchdog  undoes a reload when too many events fail after it
---@field errors number  the share of events, such as 0.05, that may fail
---@field within number|string  how long after a reload, such as 10 or "10s"

---@class tidewire.ReloadOptions
---@field watchdog? tidewire.Watchdog

---@class tidewire.SpoolOptions
---@field path string
---@field max_bytes? tidewire.Size
---@field min_free? tidewire.Size  of the disk, below which nothing is taken

--- How an engine runs a script; the host's options come first.
---@class tidewire.EngineOptions
---@field workers? integer  threads with a Lua state each, 1 to 64; 1
---@field partition_by? string|fun(event: tidewire.View): string|number|boolean|nil  the key whose events keep their order, or its path
---@field queue? integer  events that wait at a worker, at most; 2048
---@field overload? "block"|"drop_newest"|"drop_oldest"  what a full queue does; "block"
---@field block_for? number|string  how long "block" waits before it drops; without end
---@field watch? boolean  reload when the script's files change
---@field reload? tidewire.ReloadOptions
---@field max_event? integer|string  bytes of an event that is read, such as "64KiB"; 1 MiB
---@field max_depth? integer  its deepest nesting; 128
---@field spool? string|tidewire.SpoolOptions  a folder in which outboxes outlive the process
---@field durability? "commit"|"os"|"memory"  when an event is acknowledged; "commit" with a spool
---@field commit? { bytes?: tidewire.Size, within?: tidewire.Duration }  how many commits are synced at once
---@field sync? tidewire.Duration  of durability "os": how often it is synced
---@field ack? "durable"|"delivered"  what is acknowledged
---@field delivery? tidewire.DeliveryOptions  to all backends that do not say otherwise
---@field dead? { max_bytes?: tidewire.Size }  dead letters that are kept

---@class tidewire.TrackerDeclaration
---@field script? string  a router script, run by workers; then only these fields are allowed, and context_locator
---@field host_backends? table<string, tidewire.Backend>  that the script may name with `tw.backends.host`
---@field workers? integer  threads that run the script, 1 to 64; 1
---@field partition_by? string  path of the key whose events keep their order
---@field queue? integer  events that wait at a worker, at most; 2048
---@field overload? "block"|"drop_newest"|"drop_oldest"  what a full queue does; "block"
---@field block_for? number|string  how long "block" waits before it drops; without end
---@field watch? boolean  reload when the script's files change
---@field reload? tidewire.ReloadOptions
---@field max_event? integer|string  bytes of an event that is read, such as "64KiB"; 1 MiB
---@field max_depth? integer  its deepest nesting; 128
---@field spool? string|tidewire.SpoolOptions  a folder in which outboxes outlive the process
---@field durability? "commit"|"os"|"memory"  when an event is acknowledged; "commit" with a spool
---@field commit? { bytes?: tidewire.Size, within?: tidewire.Duration }  how many commits are synced at once
---@field sync? tidewire.Duration  of durability "os": how often it is synced
---@field ack? "durable"|"delivered"  what is acknowledged
---@field delivery? tidewire.DeliveryOptions  to all backends that do not say otherwise
---@field dead? { max_bytes?: tidewire.Size }  dead letters that are kept
---@field grants? string[]  what the script may use besides: "io", "os", "debug", "package", "bytecode", "lpeg"
---@field package_path? string  where the script's `require` looks besides its folder
---@field memory_limit? integer|string  of each worker's state, or "none"
---@field instruction_limit? integer|string  or "none"
---@field time_limit? number|string  or "none"
---@field processors? tidewire.AnyProcessor[]
---@field route? fun(event: tidewire.View): ...
---@field backends? table<string, tidewire.AnyBackend>
---@field context_locator? tidewire.Locator
---@field on_failure? fun(failure: tidewire.Failure)
---@field on_dead? fun(failure: tidewire.Failure)

--- A stack of named contexts; `pairs` gives names and fields in the order they were entered.
---@class tidewire.Context
local Context = {}
--- Enters a named context; one of the same name is hidden until `exit`.
---@param name string
---@param fields? table<string, any>
---@return true? ok, string? message, string? code
function Context:enter(name, fields) end
--- A name that is not entered is an error.
---@param name string
function Context:exit(name) end
--- The union of the contexts; later ones override.
---@return table<string, any>
function Context:resolve() end
--- A copy of the stack, to hand to another coroutine.
---@return tidewire.Context
function Context:copy() end

--- Finds the context that holds for the caller: a shipped one, or any object with `get`.
---@class tidewire.Locator
local Locator = {}
--- The context that holds for the caller.
---@return tidewire.Context
function Locator:get() end

---@class tidewire.CoroutineLocator: tidewire.Locator
local CoroutineLocator = {}
--- The context of the running coroutine.
---@return tidewire.Context
function CoroutineLocator:get() end
--- Makes a context hold in a coroutine, by default the running one.
---@param context tidewire.Context
---@param thread? thread
function CoroutineLocator:set(context, thread) end
--- Hands a copy of the running coroutine's contexts to another one.
---@param thread thread
function CoroutineLocator:copy_to(thread) end

--- An entered context, for `local _ <close>`.
---@class tidewire.Entered
local Entered = {}
--- Leaves the context, as `<close>` does.
function Entered:close() end

---@class tidewire.Tracker: tidewire.Tree
---@field located_context tidewire.Context  of the caller; may be called as a method too
local Tracker = setmetatable({}, { __index = Tree })
--- Makes an event of now in the located context, and routes it.
---@param name? string  "unknown" without one
---@param data? table<string, any>
---@param options? tidewire.EmitOptions
---@return true? ok, string? message, string? code
function Tracker:emit(name, data, options) end
--- Calls the `ack` functions of events whose fate is known. With seconds, waits for one so long.
---@param seconds? number
---@return integer called, integer pending  how many were called, and how many are still to come
function Tracker:poll(seconds) end
--- Enters a context in the located context of the caller.
---@param name string
---@param fields? table<string, any>
---@return true? ok, string? message, string? code
function Tracker:enter_context(name, fields) end
--- A name that is not entered is an error.
---@param name string
---@return true? ok, string? message, string? code
function Tracker:exit_context(name) end
--- Enters a context until the result is closed; or calls `f` inside of it and gives its results.
---@generic T
---@param name string
---@param fields? table<string, any>
---@param f? fun(...): T
---@return tidewire.Entered|T
function Tracker:context(name, fields, f, ...) end
--- The union of the contexts that hold for the caller.
---@return table<string, any>
function Tracker:resolve_context() end
--- Replaces the script of `tw.tracker { script = … }` by what its files hold now. Fails, and
--- the old one goes on, when anything is wrong with it.
---@return true? ok
---@return string? message
---@return string? code
function Tracker:reload() end

--- A path into events, compiled once; see `tidewire.path`.
---@class tidewire.Path
local Path = {}
--- The value there, a view of an object or array; nil when nothing is there.
---@param event tidewire.View
---@return any
function Path:get(event) end
--- Sets the value there; missing objects on the way are made.
---@param event tidewire.View
---@param value any
function Path:set(event, value) end
--- Removes every value that matches, and says how many there were.
---@param event tidewire.View
---@return integer removed
function Path:remove(event) end
--- Replaces each value at a matching place by what `f` makes of it; nil removes it.
---@param event tidewire.View
---@param f fun(value: any): any
---@return integer count
function Path:map(event, f) end

--- What `tidewire.every` and `tidewire.after` give.
---@class tidewire.Timer
local Timer = {}
--- Ends the timer; again, it does nothing.
function Timer:cancel() end

---@class tidewire.StateOptions
---@field version? integer  1 without one
---@field init? fun(): table  the first contents; an empty table without it
---@field migrate? fun(old: table, version: any): table?  makes the contents of another version ours; a reload calls it twice: to try, and to change
---@field loaded? fun(value: table)  called when contents have been taken over

---@alias tidewire.SharedValue nil|boolean|number|string

--- A store of keys and values that all states of the process share.
---@class tidewire.Shared
local Shared = {}
--- The value of a key; nil when there is none, or its time is over.
---@param key string
---@return tidewire.SharedValue
function Shared:get(key) end
--- Sets the value of a key.
---@param key string
---@param value tidewire.SharedValue  nil deletes
---@param ttl? number  seconds; for ever without it
---@return true? ok, string? message, string? code  "limit" when the store is full
function Shared:set(key, value, ttl) end
--- Adds to a number, or to 0. A value that is there keeps its time to live.
---@param key string
---@param by? number  1 without it
---@param ttl? number  seconds, for a new value
---@return number? sum, string? message, string? code
function Shared:incr(key, by, ttl) end
--- Removes a key, and says whether it was there.
---@param key string
---@return boolean existed
function Shared:delete(key) end
--- How many seconds a value still lives: `math.huge` for ever, nil when it is not there. With
--- seconds: gives it a new time to live, and tells whether it was there.
---@param key string
---@param seconds? number
---@return number|boolean|nil
function Shared:ttl(key, seconds) end
--- How many keys there are.
---@return integer
function Shared:count() end

---@class tidewire
local M = {}

---@type string
M.version = ""
--- JSON's null, the same value as cjson.null.
---@type lightuserdata
M.null = nil or {}

--- Marks a table as a JSON array, also when it is empty.
---@generic T: table
---@param t T
---@return T
function M.array(t) end
--- A deep plain copy of a view.
---@param view tidewire.View
---@return table
function M.totable(view) end
--- An event of your own, from JSON text or a table.
---@param json string|table
---@return tidewire.View? event, string? message, string? code
function M.event(json) end
--- The exact JSON text of a value.
---@param value any
---@return string? json, string? message, string? code
function M.encode(value) end
--- Any JSON value: scalars as Lua values, containers as views.
---@param json string
---@return any value, string? message, string? code
function M.decode(json) end
--- Ends the event's way in this router. It raises: a pcall around it catches the drop.
function M.drop() end
--- Answers that the destination refuses an event and always will: it becomes a dead letter.
---@param message string
---@param index? integer  its place in the list of `send_batch`, from 1: those before it are delivered
---@return tidewire.Answer
function M.permanent(message, index) end
--- Answers that it did not work this time.
---@param message string
---@param options? { after?: number }  seconds for which the destination wants to be left alone
---@return tidewire.Answer
function M.retry(message, options) end
--- Answers that the destination takes nothing until somebody changes something.
---@param message string
---@return tidewire.Answer
function M.disabled(message) end
--- How much an event matters.
---@param event tidewire.View
---@return tidewire.Priority
function M.priority(event) end
--- Says how much an event matters from here on; where events have to go, low ones go first.
---@param event tidewire.View
---@param priority tidewire.Priority
function M.set_priority(event, priority) end
--- A list of events that one event becomes.
---@param ... tidewire.Event
---@return tidewire.Event[]
function M.split(...) end
--- A new UUIDv7: ids that sort by time.
---@return string uuid
function M.uuid7() end
--- Compiles a PCRE2 pattern for UTF-8 text; a bad one raises. Compile it once, outside of the
--- function that matches. Flags: `i` ignores case, `m` lets `^` and `$` match at lines, `s` lets
--- `.` match line feeds, `x` ignores white space and comments in the pattern, `u` lets `\w`, `\d`,
--- `\s` and `\b` know all of Unicode, `U` makes repeats take little.
---@param pattern string
---@param flags? string
---@return tidewire.Regex
function M.regex(pattern, flags) end

--- Compiles a path such as `data.items[0].sku` or `context.*.email`.
---@param text string
---@return tidewire.Path
function M.path(text) end
--- The HMAC-SHA-256 of a text in hexadecimal digits.
---@param key string
---@param text string
---@return string hex
function M.hmac_sha256(key, text) end
--- A fast hash of a text, XXH3 of 64 bits; no secret.
---@param text string
---@return integer hash
function M.xxh3(text) end

--- Declares a router; a mistake raises at your line. A router script returns one.
---@param declaration tidewire.RouterDeclaration
---@return tidewire.Router
function M.router(declaration) end
--- Makes a tracker: a router with contexts in front of it, or one whose routing is in a `script`.
---@param declaration? tidewire.TrackerDeclaration
---@return tidewire.Tracker
function M.tracker(declaration) end
--- Makes a tracker known in the whole process.
---@param tracker tidewire.Tracker
---@param name? string  "default" without one
function M.register_tracker(tracker, name) end
--- Takes a tracker's name away; an unknown one is an error.
---@param name? string
function M.unregister_tracker(name) end
--- An unknown name is an error that lists the known ones.
---@param name? string
---@return tidewire.Tracker
function M.get_tracker(name) end
--- Emits on the default tracker; in a router script into that router, from its top.
---@param name? string
---@param data? table<string, any>
---@param options? tidewire.EmitOptions
---@return true? ok, string? message, string? code
function M.emit(name, data, options) end
--- Seconds since 1970, to the microsecond, by the clock of the state.
---@return number
function M.now() end
--- A time as RFC 3339 in UTC with microseconds; now without one.
---@param seconds? number
---@return string
function M.format_time(seconds) end
--- Seconds since 1970 of a text of RFC 3339; nil for anything else.
---@param text any
---@return number?
function M.parse_time(text) end
--- Calls a function every so many seconds, between events. A timer with a name keeps its
--- rhythm over a reload.
---@param seconds number
---@param f fun()
---@param name? string
---@return tidewire.Timer
function M.every(seconds, f, name) end
--- Calls a function once, after so many seconds.
---@param seconds number
---@param f fun()
---@return tidewire.Timer
function M.after(seconds, f) end
--- A table that survives a reload of the script. It holds what JSON can hold.
---@param name string
---@param options? tidewire.StateOptions
---@return table
function M.state(name, options) end
--- A store that all states of the process share; the first to open it sets its bounds.
---@param name string
---@param bounds? { max_entries?: integer, max_bytes?: integer }
---@return tidewire.Shared
function M.shared(name, bounds) end
--- Has a function called when the script ends: "end", or "reload" when another generation
--- follows.
---@param f fun(reason: "end"|"reload")
function M.on_close(f) end
--- Sets who is told of failures where nothing else is declared; nil restores standard error.
---@param f? fun(failure: tidewire.Failure)
function M.on_error(f) end
--- An empty stack of contexts.
---@return tidewire.Context
function M.context() end

M.locators = {}
--- One context for all.
---@return tidewire.Locator
function M.locators.default() end
--- One context for each thread.
---@return tidewire.Locator
function M.locators.thread_local() end
--- One context for each coroutine.
---@return tidewire.CoroutineLocator
function M.locators.coroutine() end

---@alias tidewire.Size integer|string   bytes, or text such as "10MiB"
---@alias tidewire.Duration number|string  seconds, or text such as "500ms", "1h"

M.backends = {}
--- Appends events to a file, one JSON text a line.
---@param options tidewire.FileOptions
---@return tidewire.Backend
function M.backends.file(options) end
--- A backend of the program that runs the script, by the name it offers it under.
---@param name string
---@param options? { delivery?: tidewire.DeliveryOptions }
---@return tidewire.Backend
function M.backends.host(name, options) end
--- Keeps events in memory, for tests.
---@param options? tidewire.MemoryOptions
---@return tidewire.Backend
function M.backends.memory(options) end
--- Forgets events.
---@param options? { delivery?: tidewire.DeliveryOptions }
---@return tidewire.Backend
function M.backends.null(options) end
--- Stores events in an SQLite database.
---@param options tidewire.SqliteOptions
---@return tidewire.Backend
function M.backends.sqlite(options) end
--- Writes events to standard output, one JSON text a line.
---@param options? { delivery?: tidewire.DeliveryOptions }
---@return tidewire.Backend
function M.backends.stdout(options) end

---@type tidewire.processors
M.processors = {} -- see processors.lua

-- For the comparison with the module: what objects of each class answer to.
M._classes = {
  router = Router,
  tracker = Tracker,
  backend = Backend,
  context = Context,
  locator = Locator,
  coroutine_locator = CoroutineLocator,
  entered = Entered,
  path = Path,
}

return M
