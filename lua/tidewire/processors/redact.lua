--- redact: hides values by mask, removal or keyed hash; fails closed.
--
-- Every value that a path leads to is redacted, whatever its type: a container as a whole, a
-- number and `null` as well. A string is hashed by its content, anything else by its JSON
-- text, so 7 and "7" have the same digest.

local tw = require "tidewire"
local core = require "tidewire.core"
local options = require "tidewire.processors.options"
local paths = require "tidewire.processors.paths"

local WAYS = { "hash", "mask", "remove" }

--- The key, or nil and why there is none.
local function key_of(given)
  if given.key and given.key_env then
    return nil, "give either 'key' or 'key_env', not both"
  elseif given.key == "" then
    return nil, "option 'key' must not be empty"
  elseif given.key then
    return given.key
  elseif not given.key_env then
    return nil, "with = \"hash\" needs a secret 'key', or 'key_env' with the name of a variable that holds it"
  end
  local key = os.getenv and os.getenv(given.key_env)
  if not key or key == "" then
    return nil, ("the environment variable '%s' of option 'key_env' is not set"):format(given.key_env)
  end
  return key
end

--- The options that make sense only with one way.
local function way_problem(given, way)
  local nearest = core.suggest(way, WAYS)
  if way ~= "mask" and way ~= "remove" and way ~= "hash" then
    return ('option \'with\' must be "mask", "remove" or "hash", not "%s"%s'):format(
      way,
      nearest and ('; did you mean "%s"?'):format(nearest) or ""
    )
  elseif way ~= "hash" and (given.key or given.key_env) then
    return 'a key is of use only with = "hash"'
  elseif way ~= "mask" and given.mask then
    return "option 'mask' is of use only with = \"mask\""
  elseif given.on_error == "pass" then
    return 'on_error = "pass" would let the values through; use "drop" or "dead_letter"'
  end
end

--- For each way but removal what `path:rewrite` takes: JSON text or a function.
local replacements = {
  mask = function(given)
    return tw.encode(given.mask or "***")
  end,
  hash = function(given)
    local key, message = key_of(given)
    if not key then
      return nil, message
    end
    return function(text)
      return '"' .. tw.hmac_sha256(key, text) .. '"'
    end
  end,
}

local declared = options.common({
  paths = "list",
  with = "string",
  mask = "string",
  key = "string",
  key_env = "string",
})

return options.constructor("redact", declared, function(given)
  local way = given.with or "mask"
  local problem = way_problem(given, way)
  if problem then
    return nil, problem
  elseif not given.paths then
    return nil, "option 'paths' is missing"
  end
  local compiled, message = paths.compile_all(given.paths)
  if not compiled then
    return nil, message
  end
  if way == "remove" then
    return options.processor("redact", paths.remover(given.paths, compiled), given, "drop")
  end
  local replace, reason = replacements[way](given)
  if replace == nil then
    return nil, reason
  end
  return options.processor("redact", function(event)
    for i = 1, #compiled do
      compiled[i]:rewrite(event, replace)
    end
  end, given, "drop")
end)
