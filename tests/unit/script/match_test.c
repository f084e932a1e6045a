/* The string functions of scripts against Lua's own: for patterns and texts made at random,
   also malformed ones, both must give the same results or the same error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "script/sandbox/table_lib.h"

static const char COMPARE[] =
    "local own, stock = ...\n"
    "local unpack, rnd = table.unpack, math.random\n"
    "math.randomseed(7)\n"
    "local parts = { 'a', 'b', '.', '%a', '%d', '%S', '%w', '[ab]', '[^a]', '[a-c]', '[%d_]',\n"
    "  '*', '+', '-', '?', '(', ')', '()', '^', '$', '%1', '%2', '%b()', '%b', '%f[%w]', "
    "'%f',\n"
    "  '%', '[', ']', '[]]', '[^]]', '\\0', '%%', '%.', '-x', '1', ' ', '[%', '[a-', '%z' }\n"
    "local function make(list, most)\n"
    "  local t = {}\n"
    "  for i = 1, rnd(0, most) do t[i] = list[rnd(#list)] end\n"
    "  return table.concat(t)\n"
    "end\n"
    "local bytes = { 'a', 'b', 'c', '1', '_', ' ', '(', ')', '\\0', 'x', 'ab', '.', '%', '-' "
    "}\n"
    "local function show(f, ...)\n"
    "  local r = table.pack(pcall(f, ...))\n"
    "  for i = 1, r.n do\n"
    "    r[i] = (tostring(r[i]):gsub('^.-:%d+: ', ''))\n"
    "  end\n"
    "  return table.concat(r, '|')\n"
    "end\n";

/* Each kind of call, as Lua code over `lib`, `s`, `p`, `n` and a replacement `r`. */
static const char CALLS[] =
    "local calls = {\n"
    "  function(lib, s, p, n) return lib.find(s, p, n) end,\n"
    "  function(lib, s, p, n) return lib.find(s, p, n, true) end,\n"
    "  function(lib, s, p, n) return lib.match(s, p, n) end,\n"
    "  function(lib, s, p, n) local t = {} for a, b, c in lib.gmatch(s, p, n) do\n"
    "    t[#t + 1] = tostring(a) .. ',' .. tostring(b) .. ',' .. tostring(c) end\n"
    "    return table.concat(t, ';') end,\n"
    "  function(lib, s, p, n, r) return lib.gsub(s, p, r) end,\n"
    "  function(lib, s, p, n, r) return lib.gsub(s, p, r, n) end,\n"
    "  function(lib, s, p) return lib.gsub(s, p, function(a, b) return b or a end) end,\n"
    "  function(lib, s, p) return lib.gsub(s, p, { a = 'A', ab = 1, b = false }) end,\n"
    "  function(lib, s, p, n) return lib.rep(s, n, p) end,\n"
    "}\n"
    "local replacements = { '', 'x', '%0', '%1', '%2%1', '%%', '%', '%9', '%x', '<%0>' }\n"
    "for round = 1, 60000 do\n"
    "  local s, p, n, r = make(bytes, 12), make(parts, 6), rnd(-14, 14), "
    "replacements[rnd(#replacements)]\n"
    "  for i, call in ipairs(calls) do\n"
    "    local want, got = show(call, stock, s, p, n, r), show(call, own, s, p, n, r)\n"
    "    if want ~= got then error(('call %d, text %q, pattern %q, %d, %q:\\n  want %s\\n  got "
    "%s'):format(i, s, p, n, r, want, got), 0) end\n"
    "  end\n"
    "end\n";

static void push_own(lua_State *L) {
  luaL_requiref(L, "own", luaopen_string, 0);
  tw_string_open(L, tw_lua_new(L, true));
}

static void functions_on_patterns_behave_as_those_of_lua(void **state) {
  (void)state;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushstring(L, COMPARE);
  lua_pushstring(L, CALLS);
  lua_concat(L, 2);
  if (luaL_loadstring(L, lua_tostring(L, -1))) fail_msg("%s", lua_tostring(L, -1));
  push_own(L);
  lua_getglobal(L, "string");
  if (lua_pcall(L, 2, 0, 0)) fail_msg("%s", lua_tostring(L, -1));
  lua_close(L);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(functions_on_patterns_behave_as_those_of_lua),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
