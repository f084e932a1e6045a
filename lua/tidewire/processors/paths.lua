--- paths.lua: paths of options, compiled when the processor is made.

local tw = require "tidewire"

local M = {}

--- Whether a path holds a wildcard; a star inside a quoted key is none.
function M.has_wildcard(text)
  return text:gsub("\\.", ""):gsub('"[^"]*"', ""):find("*", 1, true) ~= nil
end

--- The compiled path, or nil and what is wrong with it.
function M.compile(text)
  local ok, path = pcall(tw.path, text)
  if ok then
    return path
  end
  -- What is in brackets behind "bad argument" names the path already.
  return nil, path:match "%((path .*)%)$" or path
end

--- The same for a path that must lead to one place.
function M.compile_single(text)
  if M.has_wildcard(text) then
    return nil, ("path '%s': a wildcard is not allowed here, name one field"):format(text)
  end
  return M.compile(text)
end

--- A list of compiled paths, or nil and what is wrong with the first bad one.
function M.compile_all(texts)
  local paths = {}
  for i, text in ipairs(texts) do
    local path, message = M.compile(text)
    if not path then
      return nil, message
    end
    paths[i] = path
  end
  return paths
end

local function has_index(text)
  return text:gsub("\\.", ""):gsub('"[^"]*"', ""):find "%[%d" ~= nil
end

--- Whether what one of the paths removes may move what another one leads to.
local function may_shift(texts)
  for _, text in ipairs(texts) do
    if #texts > 1 and has_index(text) then
      return true
    end
  end
  return false
end

--- A function that removes from an event all that the paths lead to in the event as it came.
-- An array closes the gap: where that may move another place, all of them are marked first.
function M.remover(texts, compiled)
  if not may_shift(texts) then
    return function(event)
      for i = 1, #compiled do
        compiled[i]:remove(event)
      end
    end
  end
  local everywhere, mark = tw.path "**", tw.uuid7()
  local marked = tw.encode(mark)
  local function unmark(text, kind)
    if kind == "string" and text == mark then
      return false
    end
  end
  return function(event)
    local count = 0
    for i = 1, #compiled do
      count = count + compiled[i]:rewrite(event, marked)
    end
    if count > 0 then
      everywhere:rewrite(event, unmark)
    end
  end
end

--- Sorts moves, `{ from, to }` as texts, so that none moves what another one leads to: of two
-- elements of an array the later one first.
function M.sort_moves(moves)
  local function padded(text)
    return (text:gsub("%[(%d+)%]", function(digits)
      return ("[%s%s]"):format(("0"):rep(20 - #digits), digits)
    end))
  end
  for _, move in ipairs(moves) do
    if has_index(move[1]) then
      table.sort(moves, function(a, b)
        return padded(a[1]) > padded(b[1])
      end)
      return
    end
  end
end

return M
