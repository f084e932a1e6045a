--- aggregate.lua: what a window computes of the values at a path.
--
-- Each function is `{ start, add, result }` over a *slot*, a JSON-able table, so that an open
-- window can be kept in a state. Integers stay integers; a sum that leaves 64 bits becomes a
-- float, and a result beyond all floats is nil. What is no number counts for `distinct` and `count` only.

local keyed = require "tidewire.processors.keyed"
local paths = require "tidewire.processors.paths"

local M = {}

--- The sum of two numbers without the wrap of integers.
local function add(a, b)
  local sum = a + b
  if math.type(sum) == "integer" and ((a >= 0) == (b >= 0)) and ((sum >= 0) ~= (a >= 0)) then
    return a + 0.0 + b
  end
  return sum
end

local function sum_up(slot, value)
  slot.sum, slot.n = add(slot.sum or 0, value), (slot.n or 0) + 1
end

local functions = {
  sum = {
    add = sum_up,
    result = function(slot)
      return slot.sum or 0
    end,
  },
  avg = {
    add = sum_up,
    result = function(slot)
      return slot.n and slot.sum / slot.n
    end,
  },
  min = {
    add = function(slot, value)
      slot.value = slot.value and math.min(slot.value, value) or value
    end,
    result = function(slot)
      return slot.value
    end,
  },
  max = {
    add = function(slot, value)
      slot.value = slot.value and math.max(slot.value, value) or value
    end,
    result = function(slot)
      return slot.value
    end,
  },
}

--- A number, or nil. A number of more than 64 bits is a float.
local function number_of(path, event)
  local text, kind = path:text(event)
  return kind == "number" and tonumber(text) or nil
end

local function over_numbers(name, path)
  local f = functions[name]
  return {
    take = function(slot, event)
      local value = number_of(path, event)
      if value then
        f.add(slot, value)
      end
    end,
    result = function(slot)
      local value = f.result(slot)
      return value and value - value == 0 and value or nil
    end,
  }
end

local function count_all()
  return {
    take = function(slot)
      slot.n = (slot.n or 0) + 1
    end,
    result = function(slot)
      return slot.n or 0
    end,
  }
end

--- Counts different values, up to a bound.
local function distinct(path, max)
  return {
    take = function(slot, event)
      local text, kind = path:text(event)
      if text == nil or kind == "null" then
        return
      end
      slot.seen, slot.n = slot.seen or {}, slot.n or 0
      local key = keyed.short(kind:sub(1, 1) .. text)
      if not slot.seen[key] and slot.n < max then
        slot.seen[key] = true
        slot.n = slot.n + 1
      end
    end,
    result = function(slot)
      return slot.n or 0
    end,
  }
end

local OWN = { key = true, from = true, to = true, others = true }
local NAMES = "count, sum, min, max, avg or distinct"

--- What one field computes; or nil and what is wrong with it.
local function field(out, name, text, max_distinct)
  if name == "count" then
    if text ~= true then
      return nil, "'count' must be true"
    end
    return count_all()
  elseif name ~= "distinct" and not functions[name] then
    return nil, ("'%s' is none of %s; name a field of your own with %s = { \"sum\", path }"):format(name, NAMES, out)
  elseif type(text) ~= "string" then
    return nil, ("'%s' must be a path, not a %s"):format(out, type(text))
  end
  local path, message = paths.compile_single(text)
  if not path then
    return nil, message
  end
  return name == "distinct" and distinct(path, max_distinct) or over_numbers(name, path)
end

--- The fields of `compute`, in ascending order: `{ name, what, take, result }`; or nil and a message.
-- A field is named by its function, `sum = path`, or has a name of its own:
-- `total = { "sum", path }`.
function M.fields(compute, max_distinct, sorted_keys)
  local fields = {}
  for i, out in ipairs(sorted_keys(compute)) do
    local name, text = out, compute[out]
    if type(out) ~= "string" then
      return nil, "option 'compute' must name its fields"
    end
    if OWN[out] then
      return nil, ("option 'compute': '%s' stands in each event already; choose another name"):format(out)
    elseif type(text) == "table" then
      name, text = text[1], text[1] == "count" or text[2]
    end
    local made, message = field(out, tostring(name), text, max_distinct)
    if not made then
      return nil, "option 'compute': " .. message
    end
    made.name, made.what = out, ("%s=%s(%s)"):format(out, name, text)
    fields[i] = made
  end
  return fields
end

return M
