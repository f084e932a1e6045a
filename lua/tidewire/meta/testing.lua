---@meta tidewire.testing

--- An event as JSON text, table or view.
---@alias tidewire.testing.Event string|tidewire.Event

---@class tidewire.testing.Case
---@field [1] string  a sentence
---@field given tidewire.testing.Event|(tidewire.testing.Event|number)[]  a number lets seconds pass
---@field expect tidewire.testing.Event|tidewire.testing.Event[]  `{}` for none
---@field fails? string  a part of the message that the processor is to fail with
---@field processor? tidewire.AnyProcessor  instead of the list's

---@class tidewire.testing.Cases
---@field processor? tidewire.AnyProcessor
---@field cases tidewire.testing.Case[]

---@class tidewire.testing.Test
---@field name string
---@field run fun()  raises an error that tells the difference

--- A backend that keeps the JSON text of what it gets.
---@class tidewire.testing.Recorder
---@field events string[]

---@class tidewire.testing
local testing = {}

--- How `got` differs from `expected`, a line for each place; nil when they are equal. An
--- expectation as text wants the numbers' exact text, one as a table their value and type.
---@param expected tidewire.testing.Event
---@param got tidewire.testing.Event
---@return string?
function testing.diff(expected, got) end

--- A backend that keeps the JSON text of all it gets.
---@return tidewire.testing.Recorder
function testing.recorder() end

--- A clock that stands still until it is told otherwise.
---@class tidewire.testing.Clock
local Clock = {}
--- Lets time pass; each timer runs at its own time. What fails raises an error, or is told to
--- the observer of `tree`.
---@param seconds number
---@param tree? tidewire.Tree
function Clock:advance(seconds, tree) end
--- The real clock is back; `<close>` does it too.
function Clock:close() end

--- Stops the clock of this Lua state.
---@param start? number|string  seconds since 1970 or RFC 3339; the start of 2026 without it
---@return tidewire.testing.Clock
function testing.clock(start) end

--- Sends an event, or a list of them, through a processor or a router. A processor gives the
--- events that come out; a router gives a table: for each memory backend and recorder in its
--- tree, by path such as "video/db", the list of all events that it has.
---@param subject tidewire.AnyProcessor|tidewire.Router|tidewire.Tracker
---@param given tidewire.testing.Event|(tidewire.testing.Event|number)[]
---@return tidewire.View[]|table<string, tidewire.View[]> events
---@return string[]? failures  the messages of what failed in a processor
function testing.run(subject, given) end

--- The cases of a list as tests to run: `it(test.name, test.run)`.
---@param list tidewire.testing.Cases
---@return tidewire.testing.Test[]
function testing.cases(list) end

--- Runs the `tests` that a router declares; raises the first difference.
---@param router tidewire.Router  its backends are in memory
function testing.rehearse(router) end

return testing
