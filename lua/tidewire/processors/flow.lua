--- flow.lua: what a processor is and what it returned, for combinators.

local tw = require "tidewire"
local core = require "tidewire.core"
local declare = require "tidewire.declare"

local M = {}

M.stricter = declare.stricter

--- What keeps a value from being a processor, or nil.
function M.processor_problem(value)
  if core.callable(value) or (type(value) == "table" and core.callable(rawget(value, 1))) then
    return nil
  end
  return ("must be a processor, not a %s"):format(type(value))
end

--- The function of a processor entry: its first item, or the entry itself.
function M.function_of(processor)
  local first = type(processor) == "table" and rawget(processor, 1)
  return first and core.callable(first) and first or processor
end

function M.on_error_of(processor)
  return declare.on_error_of(processor) or "pass"
end

--- Whether a processor's result is a list of events, as a router sees it: marked as one by
-- tidewire.split or tidewire.array, or with an event as its first item.
function M.is_list(result)
  if type(result) == "userdata" and result ~= tw.null then
    return #result > 0 or tostring(result):find "^%s*%[" ~= nil
  elseif type(result) ~= "table" then
    return false
  end
  local first = result[1]
  local is_event = type(first) == "table" or (type(first) == "userdata" and first ~= tw.null)
  return is_event or getmetatable(result) ~= nil
end

local _, drop_mark = pcall(tw.drop)

--- Calls a function; a tidewire.drop inside gives false, and ends nothing further out.
function M.contain_drop(f, ...)
  local ok, result = pcall(f, ...)
  if ok then
    return result
  elseif result == drop_mark then
    return false
  end
  error(result, 0)
end

--- A view of what a processor returned as an event.
function M.view_of(event)
  if type(event) ~= "table" then
    return event
  end
  local view, message = tw.event(event)
  if not view then
    error(message, 0)
  end
  return view
end

--- The events of a list as views, each an event of its own: one that is given twice is copied,
-- so that an edit in one piece never shows in another, as are the elements of a view.
function M.pieces_of(list)
  local pieces = {}
  if type(list) == "userdata" then
    for i = 1, #list do
      pieces[i] = assert(tw.event(list[i]))
    end
    return pieces
  end
  for i = 1, #list do
    local piece = M.view_of(list[i])
    for j = 1, i - 1 do
      if list[j] == list[i] then
        piece = assert(tw.event(tw.encode(piece)))
        break
      end
    end
    pieces[i] = piece
  end
  return pieces
end

--- Adds a processor's result to a list: nothing when it dropped, `unchanged` when it passed.
function M.append(list, result, unchanged)
  if result == nil then
    list[#list + 1] = unchanged
  elseif M.is_list(result) then
    table.move(result, 1, #result, #list + 1, list)
  elseif result ~= false then
    list[#list + 1] = result
  end
end

return M
