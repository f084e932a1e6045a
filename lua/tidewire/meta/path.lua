---@meta

---@class tidewire.Path
local Path = {}

--- The content of a string, or the exact JSON text of any other value, and its kind; nil when
--- nothing is there.
---@param event tidewire.View
---@return string? text
---@return "string"|"number"|"boolean"|"null"|"array"|"object"? kind
function Path:text(event) end

--- Calls `f` for every place that matches, with what `text` gives. It returns JSON text to put
--- there, false to remove the place, or nil to leave it. A text or false instead of `f` does
--- the same at every place.
---@param event tidewire.View
---@param f string|false|fun(text: string, kind: string): string|false|nil
---@return integer changed  how many places
function Path:rewrite(event, f) end

--- Moves a value, exactly.
---@param event tidewire.View
---@param to tidewire.Path
---@return boolean? moved  false when nothing is there, nil when it failed
---@return string? message
---@return string? code
function Path:move(event, to) end

--- Every matching string that holds JSON text becomes its value.
---@param event tidewire.View
---@return integer decoded
---@return integer invalid  strings that are no JSON
---@return string? message  why the first of these is none
function Path:decode(event) end
