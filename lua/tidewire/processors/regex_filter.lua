--- regex_filter: drops events by their name, with PCRE2 patterns. The work is done in C.

local core = require "tidewire.core"
local options = require "tidewire.processors.options"

return options.constructor("regex_filter", { allow = "list", deny = "list" }, function(given)
  if (given.allow == nil) == (given.deny == nil) then
    return nil, "give either 'allow' or 'deny'"
  end
  local processor, message = core.new_processor("regex_filter", { allow = given.allow, deny = given.deny })
  return processor, message and message:gsub("^regex_filter: ", "")
end)
