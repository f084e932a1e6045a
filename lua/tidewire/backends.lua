--- backends.lua: the backends that ship, each `options -> backend`.
--
-- How an outbox delivers to one stands among its options, but is no affair of the backend: it
-- is kept beside it until a router takes both.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

local KINDS = { "file", "memory", "null", "sqlite", "stdout" }

local M = {}

local function without_delivery(options)
  local rest = {}
  for name, value in pairs(options) do
    if name ~= "delivery" then
      rest[name] = value
    end
  end
  return rest
end

local function make(options, new)
  local delivery = options and options.delivery
  if delivery == nil then
    return new(options)
  end
  local backend = new(without_delivery(options))
  declare.keep_delivery(backend, delivery)
  return backend
end

for _, kind in ipairs(KINDS) do
  M[kind] = core.entry(function(options)
    declare.optional(kind .. ": options", options, "table")
    return make(options, function(own)
      return core.new_backend(kind, own)
    end)
  end)
end

--- A backend of the program that runs the script.
M.host = core.entry(function(name, options)
  declare.named("backends.host", name)
  declare.optional("backends.host: options", options, "table")
  declare.fields("backends.host", options or {}, { "delivery" })
  return make(options, function()
    return core.host_backend(name)
  end)
end)

return setmetatable(M, {
  __metatable = false,
  __index = function(_, kind)
    local nearest = type(kind) == "string" and core.suggest(kind, KINDS)
    declare.misuse(
      "backends: unknown kind '%s'; %s",
      tostring(kind),
      nearest and ("did you mean '%s'?"):format(nearest) or "known are " .. table.concat(KINDS, ", ")
    )
  end,
})
