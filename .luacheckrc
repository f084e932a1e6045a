-- `luacheck .` from the project's root.
std = "lua54"
max_line_length = 120
exclude_files = { "build", "lua/tidewire/meta" }
files["tests"] = { std = "+busted" }
