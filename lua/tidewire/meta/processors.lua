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

---@class tidewire.processors
local processors = {}

--- Drops events with any other name.
---@param names string[]
---@return tidewire.Processor
function processors.allowlist(names) end

--- Drops events by patterns of their name.
---@param options tidewire.RegexFilterOptions
---@return tidewire.Processor
function processors.regex_filter(options) end

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
