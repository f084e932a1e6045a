--- locators.lua: how a tracker finds the contexts that hold for its caller.

local core = require "tidewire.core"
local declare = require "tidewire.declare"

local function check_thread(where, thread)
  if thread ~= nil and type(thread) ~= "thread" then
    declare.misuse("%s: coroutine must be a coroutine, not %s", where, declare.describe(thread))
  end
end

--- Contexts that follow the running coroutine. A new coroutine begins with none; `copy_to`
-- gives it a copy of the caller's, `set` any context.
local per_coroutine = { __name = "tidewire.locator", __metatable = false }
per_coroutine.__index = per_coroutine

function per_coroutine:get()
  local running = coroutine.running()
  local context = self.contexts[running]
  if not context then
    context = core.new_context()
    self.contexts[running] = context
  end
  return context
end

--- Makes `context` hold in a coroutine, by default the running one.
per_coroutine.set = core.entry(function(self, context, thread)
  if core.class(context) ~= "context" then
    declare.misuse("set: context must be made with tidewire.context(), not %s", declare.describe(context))
  end
  check_thread("set", thread)
  self.contexts[thread or coroutine.running()] = context
end)

--- Hands a copy of the running coroutine's contexts to another one.
per_coroutine.copy_to = core.entry(function(self, thread)
  if thread == nil then
    declare.misuse "copy_to: coroutine must be a coroutine, not nil"
  end
  check_thread("copy_to", thread)
  self.contexts[thread] = self:get():copy()
end)

return {
  default = core.new_default_locator,
  thread_local = core.new_thread_local_locator,
  coroutine = function()
    return setmetatable({ contexts = setmetatable({}, { __mode = "k" }) }, per_coroutine)
  end,
}
