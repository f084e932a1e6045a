--- init.lua: the processors that people write first, each `options -> processor`.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

local M = {
  allowlist = require "tidewire.processors.allowlist",
  batch = require "tidewire.processors.batch",
  chain = require "tidewire.processors.chain",
  decode_json = require "tidewire.processors.decode_json",
  dedup = require "tidewire.processors.dedup",
  host = require "tidewire.processors.host",
  redact = require "tidewire.processors.redact",
  regex_filter = require "tidewire.processors.regex_filter",
  remove = require "tidewire.processors.remove",
  rename = require "tidewire.processors.rename",
  rename_event = require "tidewire.processors.rename_event",
  sample = require "tidewire.processors.sample",
  sessionize = require "tidewire.processors.sessionize",
  set = require "tidewire.processors.set",
  throttle = require "tidewire.processors.throttle",
  when = require "tidewire.processors.when",
  window = require "tidewire.processors.window",
}

return setmetatable(M, {
  __metatable = false,
  __index = function(_, name)
    local known = declare.sorted_keys(M)
    local nearest = type(name) == "string" and core.suggest(name, known)
    declare.misuse(
      "processors: unknown processor '%s'; %s",
      tostring(name),
      nearest and ("did you mean '%s'?"):format(nearest) or "known are " .. table.concat(known, ", ")
    )
  end,
})
