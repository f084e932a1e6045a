--- sample: lets a share of the events through, at random or by key.
--
-- By key, the decision is a hash of the key against the rate: the same key always has the
-- same answer, in every process, and what passes at one rate passes at every higher one.

local tw = require "tidewire"
local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

--- Whether a hash, as an unsigned number, lies below rate * 2^64.
local function test_of(rate)
  if rate == 1 then
    return function()
      return true
    end
  end
  local scaled = rate * 2.0 ^ 64
  if scaled >= 2.0 ^ 63 then
    scaled = scaled - 2.0 ^ 64
  end
  local threshold = math.tointeger(scaled // 1)
  return function(hash)
    return math.ult(hash, threshold)
  end
end

--- SplitMix64: a sequence of even 64-bit integers, its own for each processor.
local function generator(seed)
  local state = seed
  return function()
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return z ~ (z >> 31)
  end
end

local function by_chance(passes, seed)
  local draw = generator(seed or math.random(0))
  return function()
    if not passes(draw()) then
      return false
    end
  end
end

--- A missing or null key has no say: `missing` is what such events get.
local function by_key(passes, path, missing)
  return function(event)
    local text, kind = path:text(event)
    if text == nil or kind == "null" then
      return missing
    elseif not passes(tw.xxh3(text)) then
      return false
    end
  end
end

local function problem_of(given)
  local rate = given.rate
  if not rate then
    return "option 'rate' is missing"
  elseif not (rate >= 0 and rate <= 1) then
    return ("option 'rate' must be from 0 to 1, not %s"):format(rate)
  elseif given.by and given.seed then
    return "'seed' is of use only without 'by'"
  elseif given.seed and not math.tointeger(given.seed) then
    return "option 'seed' must be an integer"
  elseif given.missing and not given.by then
    return "'missing' is of use only with 'by'"
  elseif given.missing and given.missing ~= "keep" and given.missing ~= "drop" then
    return 'option \'missing\' must be "keep" or "drop"'
  end
end

local function decide(given)
  local passes = test_of(given.rate)
  if not given.by then
    return by_chance(passes, math.tointeger(given.seed))
  end
  local path, message = paths.compile_single(given.by)
  if not path then
    return nil, message
  end
  local missing = nil
  if given.missing == "drop" then
    missing = false
  end
  return by_key(passes, path, missing)
end

local declared = options.common({ rate = "number", by = "string", seed = "number", missing = "string" })

return options.constructor("sample", declared, function(given)
  local problem = problem_of(given)
  if problem then
    return nil, problem
  end
  local f, message = decide(given)
  if not f then
    return nil, message
  end
  return options.processor("sample", f, given)
end)
