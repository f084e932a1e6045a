--- backends.lua: the backends that ship, each `options -> backend`.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

local KINDS = { "file", "memory", "null", "sqlite", "stdout" }

local M = {}

for _, kind in ipairs(KINDS) do
  M[kind] = core.entry(function(options)
    declare.optional(kind .. ": options", options, "table")
    return core.new_backend(kind, options)
  end)
end

--- A backend of the program that runs the script.
M.host = core.entry(function(name)
  declare.named("backends.host", name)
  return core.host_backend(name)
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
