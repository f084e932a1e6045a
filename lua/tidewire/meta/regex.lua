---@meta

--- A compiled PCRE2 pattern; see `tidewire.regex`. Places count bytes from 1, and `init` is where
--- the search begins, as with `string.find`. A group that took no part in a match is `false`.
---@class tidewire.Regex
---@field pattern string
local Regex = {}

--- The groups of the first match, or the whole match when the pattern has none; nil.
---@param text string
---@param init? integer
---@return string|false|nil ...
function Regex:match(text, init) end

--- Where the first match begins and ends, and its groups; nil.
---@param text string
---@param init? integer
---@return integer? first
---@return integer? last
---@return string|false ...
function Regex:find(text, init) end

--- Whether it matches somewhere.
---@param text string
---@param init? integer
---@return boolean
function Regex:test(text, init) end

--- The first match as a table: `[0]` the whole of it, `[1]` ... the groups, and those that have a
--- name by that, too; nil.
---@param text string
---@param init? integer
---@return table<integer|string, string|false>?
function Regex:captures(text, init) end

--- An iterator over all matches that gives what `match` gives.
---@param text string
---@param init? integer
---@return fun(): string|false|nil ...
function Regex:gmatch(text, init) end

--- The text with its matches replaced, at most `most` of them, and how many there were. In a
--- replacement text, `$1` or `${1}` is a group, `${name}` one with a name, `$0` the whole match
--- and `$$` a dollar sign. A function is called with the groups, a table is asked for the first
--- (the whole match when there are none); false or nil from them leaves the match as it is.
---@param text string
---@param replacement string|number|table<string, string|number|false>|fun(...: string|false): string|number|false|nil
---@param most? integer
---@return string text
---@return integer count
function Regex:gsub(text, replacement, most) end

return Regex
