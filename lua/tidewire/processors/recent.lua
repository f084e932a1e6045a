--- recent.lua: a map that remembers for some time, in bounded memory.
--
-- Two generations of entries: a new entry, and one that is used, is put into the current one.
-- When that is full (half of the bound) or as old as entries have to last, it becomes the
-- previous one, and what that held is forgotten. So an entry lasts at least `lasts`
-- microseconds unless the bound cuts that short, and nothing is ever searched for what is old.
-- A store is a plain table of JSON-able values: it may be a `tidewire.state`.

local M = {}

--- Makes a table a store, or leaves it one.
function M.store(t)
  t.current, t.previous = t.current or {}, t.previous or {}
  t.count, t.since = t.count or 0, t.since or 0
  return t
end

local function turn(store, now)
  store.previous, store.current = store.current, {}
  store.count, store.since = 0, now
end

function M.get(store, key)
  local value = store.current[key]
  if value == nil then
    value = store.previous[key]
  end
  return value
end

function M.put(store, key, value, now, max, lasts)
  if store.current[key] == nil then
    local age = now - store.since
    if (store.count + 1) * 2 > max or age >= lasts or age < 0 then
      turn(store, now)
    end
    store.count = store.count + 1
  end
  store.current[key] = value
end

return M
