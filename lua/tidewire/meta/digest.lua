---@meta

---@class tidewire
local tidewire = {}

--- HMAC with SHA-256 (RFC 2104): 64 lower-case hexadecimal digits.
---@param key string
---@param text string
---@return string
function tidewire.hmac_sha256(key, text) end

--- The 64 bits of XXH3, the same on every machine; fast and even, but no secret.
---@param text string
---@return integer
function tidewire.xxh3(text) end

---@class tidewire.Path
local path = {}

--- The content of a string, or the exact JSON text of any other value, and its kind; nil when
--- nothing is there.
---@param event tidewire.Event
---@return string? text
---@return "string"|"number"|"boolean"|"null"|"array"|"object"? kind
function path:text(event) end

--- Calls `f` for every place that matches, with what `text` gives. It returns JSON text to put
--- there, false to remove the place, or nil to leave it.
---@param event tidewire.Event
---@param f fun(text: string, kind: string): string|false|nil
---@return integer changed  how many places
function path:rewrite(event, f) end

--- Moves a value, exactly.
---@param event tidewire.Event
---@param to tidewire.Path
---@return boolean? moved  false when nothing is there, nil when it failed
---@return string? message
---@return string? code
function path:move(event, to) end

--- Every matching string that holds JSON text becomes its value.
---@param event tidewire.Event
---@return integer decoded
---@return integer invalid  strings that are no JSON
---@return string? message  why the first of these is none
function path:decode(event) end
