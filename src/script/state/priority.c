/* The words of priorities. */
#include "script/state/priority.h"

#include "base/status.h"
#include "script/state/message.h"

static const struct {
  const char *word;
  tw_priority priority;
} words[] = {
    {"low", TW_PRIORITY_LOW}, {"normal", TW_PRIORITY_NORMAL}, {"high", TW_PRIORITY_HIGH}};

enum { WORDS = sizeof words / sizeof *words };

tw_status tw_priority_read(lua_State *L, int index, tw_priority *out, tw_error *error) {
  static const char known[] = "a priority is \"high\", \"normal\" or \"low\"";
  if (lua_type(L, index) != LUA_TSTRING)
    return tw_fail(error, TW_ETYPE, "%s, not %s", known, tw_lua_describe(L, index));
  const char *word = lua_tostring(L, index);
  for (size_t i = 0; i < WORDS; i++) {
    if (strcmp(word, words[i].word) != 0) continue;
    *out = words[i].priority;
    return TW_OK;
  }
  return tw_fail(error, TW_EINVAL, "%s, not \"%.80s\"", known, word);
}

tw_priority tw_lua_check_priority(lua_State *L, int index) {
  tw_priority priority = TW_PRIORITY_NORMAL;
  tw_error error;
  if (tw_priority_read(L, index, &priority, &error)) tw_lua_misuse(L, "%s", error.message);
  return priority;
}

const char *tw_priority_word(tw_priority priority) {
  for (size_t i = 0; i < WORDS; i++)
    if (words[i].priority == priority) return words[i].word;
  return "normal";
}
