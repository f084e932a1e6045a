-- expect: ok
-- What the library's files are made of is within reach, so it takes anything, and raises.
return function(_)
  local core = require "tidewire.core"
  local made = { misuse = true, turn = true, set_hooks = true, set_due = true }
  for name, f in pairs(core) do
    for _, bad in ipairs { 0, 1.5, "a", {}, print, { 1 }, false } do
      if type(f) == "function" and not made[name] then
        pcall(f)
        pcall(f, bad)
        pcall(f, "a", bad)
        pcall(f, bad, bad, bad)
      end
    end
  end
end
