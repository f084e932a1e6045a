---@meta tidewire.processors

--- A path such as `data.items[0].sku` or, where wildcards are allowed, `context.*.email`.
---@alias tidewire.PathText string

--- A processor that ships: callable, and an entry for a list of processors.
---@class tidewire.LibraryProcessor
---@field [1] fun(event: tidewire.View): any
---@field name string
---@field on_error tidewire.OnError
---@overload fun(event: tidewire.View): any

---@class tidewire.CommonOptions
---@field name? string  for messages
---@field on_error? tidewire.OnError

---@class tidewire.RedactOptions
---@field paths tidewire.PathText[]
---@field with? "mask"|"remove"|"hash"  "mask" by default
---@field mask? string  "***" by default
---@field key? string  for "hash": the secret
---@field key_env? string  for "hash": the variable of the environment that holds it
---@field name? string
---@field on_error? "drop"|"dead_letter"  "drop" by default

---@class tidewire.SampleOptions: tidewire.CommonOptions
---@field rate number  from 0 to 1
---@field by? tidewire.PathText  decide by this key: the same key, the same answer
---@field missing? "keep"|"drop"  events without the key; "keep" by default
---@field seed? integer  makes the choice by chance repeatable

---@class tidewire.RemoveOptions: tidewire.CommonOptions
---@field [integer] tidewire.PathText

---@class tidewire.DecodeJsonOptions: tidewire.CommonOptions
---@field [integer] tidewire.PathText
---@field keep_invalid? boolean  true by default: a string that is no JSON stays

---@class tidewire.RegexFilterOptions
---@field allow? string[]  PCRE2 patterns, matched at the start of the name
---@field deny? string[]  either these or `allow`

---@class tidewire.ThrottleOptions: tidewire.CommonOptions
---@field rate number  how many events pass
---@field per? number  in so many seconds; 1 by default
---@field by? tidewire.PathText  a rate for each key
---@field burst? integer  how many may come at once; `rate` by default
---@field max_keys? integer  10000 by default
---@field state? string  the name of a state that survives a reload

---@class tidewire.DedupOptions: tidewire.CommonOptions
---@field by? tidewire.PathText  "id" by default: the event's id
---@field within? number  seconds; 60 by default
---@field max? integer  how many keys are remembered; 100000 by default
---@field state? string

---@class tidewire.BatchOptions: tidewire.CommonOptions
---@field events? integer  100 by default
---@field seconds? number  5 by default
---@field bytes? integer  of the events' text; 524288 by default
---@field as? string  the name of the event; "batch" by default
---@field state? string

---@class tidewire.WindowOptions: tidewire.CommonOptions
---@field every number  seconds
---@field by? tidewire.PathText  a window for each key
---@field at? tidewire.PathText  where the time stands, "timestamp" by default; or "arrival"
---@field lateness? number  seconds that an event may come late; 0 by default
---@field compute? table<string, true|tidewire.PathText|table>  `{ count = true }` by default
---@field as? string  the name of the event; "window" by default
---@field keep? boolean  whether the events themselves go on; true by default
---@field state? string
---@field max_keys? integer  10000 by default
---@field max_distinct? integer  1000 by default

---@class tidewire.SessionizeOptions: tidewire.CommonOptions
---@field by tidewire.PathText
---@field gap? number  seconds without an event that end a session; 1800 by default
---@field to? tidewire.PathText  "context.session" by default
---@field as? string  the name of the event; "session.ended" by default
---@field state? string
---@field max_keys? integer  10000 by default

---@class tidewire.processors
local processors = {}

--- Lets so many events of each key through in a time.
---@param options tidewire.ThrottleOptions
---@return tidewire.LibraryProcessor
function processors.throttle(options) end

--- Drops what was seen within a time.
---@param options? tidewire.DedupOptions
---@return tidewire.LibraryProcessor
function processors.dedup(options) end

--- Puts many events into one.
---@param options? tidewire.BatchOptions
---@return tidewire.LibraryProcessor
function processors.batch(options) end

--- Counts, sums and so on, of each key in each span of time.
---@param options tidewire.WindowOptions
---@return tidewire.LibraryProcessor
function processors.window(options) end

--- Gives events the session that they belong to.
---@param options tidewire.SessionizeOptions
---@return tidewire.LibraryProcessor
function processors.sessionize(options) end

--- Drops events with any other name.
---@param names string[]
---@return tidewire.Processor
function processors.allowlist(names) end

--- Drops events by patterns of their name.
---@param options tidewire.RegexFilterOptions
---@return tidewire.Processor
function processors.regex_filter(options) end

--- A processor of the program that runs the script, by the name it offers it under.
---@param name string
---@return tidewire.Processor
function processors.host(name) end

--- Lets a share of the events through, at random or by key.
---@param options tidewire.SampleOptions
---@return tidewire.LibraryProcessor
function processors.sample(options) end

--- Gives fields a value, or what a function makes of the event; nil sets nothing.
---@param fields table<tidewire.PathText, any>
---@return tidewire.LibraryProcessor
function processors.set(fields) end

--- Takes fields out of the event; wildcards are allowed.
---@param options tidewire.RemoveOptions
---@return tidewire.LibraryProcessor
function processors.remove(options) end

--- Moves values to other fields, exactly.
---@param fields table<tidewire.PathText, tidewire.PathText>
---@return tidewire.LibraryProcessor
function processors.rename(fields) end

--- Gives events other names.
---@param names table<string, string>
---@return tidewire.LibraryProcessor
function processors.rename_event(names) end

--- Hides values by mask, removal or keyed hash; fails closed.
---@param options tidewire.RedactOptions
---@return tidewire.LibraryProcessor
function processors.redact(options) end

--- A string that holds JSON text becomes its value, exactly; wildcards are allowed.
---@param options tidewire.DecodeJsonOptions
---@return tidewire.LibraryProcessor
function processors.decode_json(options) end

--- Several processors as one; takes over the strictest `on_error` among them.
---@param ... tidewire.AnyProcessor
---@return tidewire.LibraryProcessor
function processors.chain(...) end

--- A processor for the events only for which the predicate is true.
---@param predicate fun(event: tidewire.View): any
---@param processor tidewire.AnyProcessor
---@return tidewire.LibraryProcessor
function processors.when(predicate, processor) end

return processors
