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

return M
