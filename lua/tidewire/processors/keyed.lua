--- keyed.lua: what processors with a key, a duration or a state have in common.

local tw = require "tidewire"
local paths = require "tidewire.processors.paths"

local M = {}

local MOST = 1e9 -- seconds: as far as a timer goes
local LONGEST = 200 -- bytes of a key

--- What is wrong with numbers that must be above 0, in the order given; nil when nothing is.
function M.positive_problem(given, names)
  for _, name in ipairs(names) do
    local value = given[name]
    if value ~= nil and not (value > 0 and value <= MOST) then
      return ("option '%s' must be above 0 and at most 1e9, not %s"):format(name, value)
    end
  end
end

--- The same for whole numbers from 1.
function M.count_problem(given, names)
  for _, name in ipairs(names) do
    local value = given[name]
    if value ~= nil and (not math.tointeger(value) or value < 1) then
      return ("option '%s' must be an integer from 1, not %s"):format(name, value)
    end
  end
end

--- Whole microseconds of so many seconds, at least one.
function M.microseconds(seconds)
  return math.max(1, math.floor(seconds * 1e6 + 0.5))
end

--- What to keep of a key: senders of long ones must not fill the memory.
function M.short(key)
  return #key > LONGEST and "#" .. tw.hmac_sha256("", key) or key
end

local function everything()
  return "", "null"
end

--- A function `event -> key, kind, text`: a key that tells a string from a number of the same
-- digits, `null` for what is missing. Without a path all events have one key. A long key is its
-- hash, and so is the text.
function M.key_of(by)
  if by == nil then
    return everything
  end
  local path, message = paths.compile_single(by)
  if not path then
    return nil, message
  end
  return function(event)
    local text, kind = path:text(event)
    if text == nil or kind == "null" then
      return "", "null"
    end
    local whole = kind:sub(1, 1) .. text
    local key = M.short(whole)
    if key ~= whole then
      return key, "string", key
    end
    return key, kind, text
  end
end

--- The JSON of a key.
function M.key_json(kind, text)
  if kind == "null" then
    return "null"
  end
  return kind == "string" and tw.encode(text) or text
end

--- The table that a processor keeps: a state that survives a reload when it has a name.
function M.state(name, loaded)
  if name == nil then
    return {}
  end
  return tw.state(name, { version = 1, loaded = loaded })
end

return M
