-- `luacheck .` from the project's root.
std = "lua54"
max_line_length = 120
exclude_files = { "build", "lua/tidewire/meta" }
-- Tables of cases are easier to read with a case on a line.
files["tests"] = { std = "+busted", max_line_length = false }

-- Attacks do what one does not do.
files["tests/attacks/*.lua"] = { global = false, ignore = { "." } }
