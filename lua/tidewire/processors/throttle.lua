--- throttle: so many events in so much time, of each key; the others are dropped.
--
-- A token bucket, kept as the one number that says the same (GCRA): the time at which the
-- bucket is full again. An event passes when that is less than a burst away, and puts it off
-- by the time that a token takes. Whole nanoseconds: nothing drifts, and a rate of a million a
-- second is exact to a thousandth.

local core = require "tidewire.core"
local keyed = require "tidewire.processors.keyed"
local options = require "tidewire.processors.options"
local recent = require "tidewire.processors.recent"

local MOST = 1e9 -- seconds

local function build(given)
  if not given.rate then
    return nil, "option 'rate' is missing"
  end
  local problem = keyed.positive_problem(given, { "rate", "per" })
    or keyed.count_problem(given, { "burst", "max_keys" })
  local key_of, message = keyed.key_of(given.by)
  if problem or not key_of then
    return nil, problem or message
  end
  local seconds, burst = (given.per or 1) / given.rate, math.floor(given.burst or math.max(1, given.rate))
  if seconds * burst > MOST then
    return nil, ("a burst of %d would last longer than 1e9 seconds"):format(burst)
  end
  local token = math.max(1, math.floor(seconds * 1e9 + 0.5))
  local whole = token * burst
  local max = given.max_keys or 10000
  local store = keyed.state(given.state)

  local function take(key)
    recent.store(store)
    local now = core.steady() * 1000
    local full = recent.get(store, key) or now
    if full > now + whole then -- by another clock, of a process before this one
      full = now + whole
    end
    full = math.max(full, now) + token
    if full - now > whole then
      return false
    end
    recent.put(store, key, full, now, max, whole)
  end

  return options.processor("throttle", function(event)
    return take((key_of(event)))
  end, given)
end

local declared = options.common {
  rate = "number",
  per = "number",
  by = "string",
  burst = "number",
  max_keys = "number",
  state = "string",
}

return options.constructor("throttle", declared, build)
