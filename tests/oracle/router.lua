-- What the oracle routes through. A variant is one way to write the script: reloads go from one
-- to another. Each event is stamped with what its key was counted to, in the state that is
-- committed with it, and with where it goes: so judge.lua knows both without knowing when a
-- reload took place.
local tw = require "tidewire"

local counts = tw.state "counts"

local function bit(variant, number) return variant // 2 ^ number % 2 == 1 end

-- A backend in Lua with a file of its own. `troubled`: it fails now and then, before it has
-- written, after, and for as long as this script runs.
local function lua_backend(troubled, dead)
  local tries = 0
  return {
    open = function(self)
      self.file = assert(io.open("out/lua.ndjson", "a"))
      self.file:write "\n"
    end,
    send_batch = function(self, events)
      tries = tries + 1
      if dead then return false, "away" end
      if troubled and tries % 5 == 1 then return false, "chosen to fail before" end
      local lines, refused = {}, nil
      for i, event in ipairs(events) do
        refused = event.data.n % 17 == 3 and i or nil
        if refused then break end
        lines[i] = tostring(event) .. "\n"
      end
      self.file:write(table.concat(lines))
      self.file:flush()
      if refused then return tw.permanent("never wanted", refused) end
      if troubled and tries % 5 == 3 then error "chosen to fail after" end
    end,
    close = function(self) self.file:close() end,
    delivery = { batch = { events = 40 } },
  }
end

local function where(n, has_extra)
  local names = { "all" }
  if n % 2 == 0 then names[#names + 1] = "sub" end
  if n % 3 == 0 then names[#names + 1] = "lua" end
  if n % 5 == 0 then names[#names + 1] = "host" end
  if has_extra and n % 7 == 0 then names[#names + 1] = "extra" end
  return names
end

return function(variant, mode)
  local calm = mode == "calm"
  local has_extra = calm or bit(variant, 0)
  local backends = {
    all = tw.backends.file {
      path = "out/all.ndjson", rotate_size = bit(variant, 1) and "200KiB" or "90KiB",
    },
    sub = tw.router {
      processors = { function(event) event.data.branch = true end },
      route = function(event) return event.data.n % 4 == 0 and { "db", "file" } or "db" end,
      backends = {
        db = tw.backends.sqlite { path = "out/events.db" },
        file = tw.backends.file { path = "out/sub.ndjson", rotate_size = "150KiB" },
      },
    },
    lua = lua_backend(not calm, not calm and variant == 5),
    host = tw.backends.host "host",
  }
  if has_extra then backends.extra = tw.backends.file { path = "out/extra.ndjson" } end
  return tw.router {
    engine = {
      spool = "spool", workers = 2, partition_by = "data.key",
      durability = require "durability",
      delivery = {
        retry = { min = "1ms", max = "20ms" },
        breaker = { failures = 8, rest = "30ms" },
      },
    },
    processors = {
      function(event) if event.data.n % 19 == 0 then tw.drop() end end,
      {
        function(event) if event.data.n % 29 == 0 then error "chosen to fail" end end,
        on_error = "dead_letter",
      },
      function(event)
        local data = event.data
        local key, names = data.key .. "", where(data.n, has_extra)
        counts[key] = (counts[key] or 0) + 1
        data.c = counts[key]
        data.to = table.concat(names, " ")
        if data.n % 31 == 0 then
          local whole = tw.totable(event)
          whole.data.part = 1
          local rest = tw.totable(event)
          rest.data.part = 2
          return tw.split(whole, rest)
        end
      end,
    },
    route = function(event)
      local n = event.data.n
      local priority = n % 11 == 0 and "high" or n % 11 == 1 and "low" or "normal"
      local names = { priority = priority }
      for name in event.data.to:gmatch "%a+" do names[#names + 1] = name end
      return names
    end,
    backends = backends,
  }
end
