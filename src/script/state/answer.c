/* Answers. The text is the userdata's user value, so that the collector owns it. */
#include "script/state/answer.h"

#include "base/status.h"
#include "script/state/bindings.h"
#include "script/state/message.h"

/* Seconds: as milliseconds they fit an int. */
#define LONGEST_WAIT 2e6

void tw_answer_read(lua_State *L, int index, tw_answer *out, tw_error *error) {
  *out = *(const tw_answer *)lua_touserdata(L, index);
  lua_getiuservalue(L, index, 1);
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  tw_fail(error, out->status, "%s", *message ? message : "no reason was given");
  lua_pop(L, 1);
}

/* The message is at index 1. */
static int push_answer(lua_State *L, tw_answer answer) {
  if (lua_type(L, 1) != LUA_TSTRING)
    return tw_lua_misuse(L, "message must be a string, not %s", tw_lua_describe(L, 1));
  tw_answer *made = lua_newuserdatauv(L, sizeof *made, 1);
  *made = answer;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  tw_lua_push_mark(L, tw_lua_self(L), TW_MARK_ANSWER);
  lua_setmetatable(L, -2);
  return 1;
}

/* permanent(message[, index]) */
static int permanent(lua_State *L) {
  tw_answer answer = {.status = TW_EREFUSED};
  if (!lua_isnoneornil(L, 2)) {
    int is_integer;
    answer.index = lua_tointegerx(L, 2, &is_integer);
    if (!is_integer || answer.index < 1)
      return tw_lua_misuse(L,
                           "permanent: index must be the place of an event in the list, "
                           "from 1");
  }
  return push_answer(L, answer);
}

/* The one field that there is. */
static int check_after(lua_State *L) {
  if (!lua_istable(L, 2))
    return tw_lua_misuse(L, "retry: options must be a table, not %s", tw_lua_describe(L, 2));
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    bool is_known = lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), "after");
    if (!is_known) return tw_lua_misuse(L, "retry: the one option is 'after'");
  }
  lua_pushliteral(L, "after");
  if (lua_rawget(L, 2) == LUA_TNIL) return 0;
  lua_Number seconds = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 0 && seconds <= LONGEST_WAIT))
    return tw_lua_misuse(L, "retry: after must be seconds, such as 5");
  return (int)(seconds * 1000);
}

/* retry(message[, { after = seconds }]) */
static int retry(lua_State *L) {
  tw_answer answer = {.status = TW_EIO};
  if (!lua_isnoneornil(L, 2)) answer.retry_after_ms = check_after(L);
  return push_answer(L, answer);
}

/* disabled(message) */
static int disabled(lua_State *L) {
  return push_answer(L, (tw_answer){.status = TW_EDISABLED});
}

static int to_text(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return 1;
}

void tw_answer_setup(lua_State *L, tw_lua *lua) {
  tw_lua_new_mark(L, lua, TW_MARK_ANSWER, "tidewire.answer");
  tw_lua_pushfunction(L, lua, to_text);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

void tw_lua_open_answer(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"permanent", permanent}, {"retry", retry}, {"disabled", disabled}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
}
