/* upkeep.c: what a host does for a loaded script between events.

   What a script holds back and keeps is known to the Lua library alone. It gave C a hook for
   each question (time.h), and has C know when its next timer is due: so a script without
   timers costs one comparison, and no call into Lua. */
#include "script/upkeep.h"

#include "script/gate.h"
#include "script/time.h"

typedef struct setting {
  tw_lua *lua;
  const tw_clock *clock;
} setting;

static int set_clock(lua_State *L) {
  const setting *to = lua_touserdata(L, 1);
  tw_lua_set_clock(L, to->lua, to->clock);
  return 0;
}

tw_status tw_script_set_clock(tw_script *script, const tw_clock *clock, tw_error *error) {
  tw_gate *gate = tw_script_gate(script);
  setting to = {gate->lua, clock};
  return tw_gate_call(gate, set_clock, &to, error);
}

void tw_script_tick(tw_script *script) {
  tw_gate *gate = tw_script_gate(script);
  if (gate->lua->due == TW_NEVER) return;
  tw_timers_run(gate, gate->root, NULL);
}

int64_t tw_script_next_timer(const tw_script *script) {
  const tw_lua *lua = tw_script_gate(script)->lua;
  if (lua->due == TW_NEVER) return -1;
  int64_t now = tw_lua_steady(lua);
  return lua->due > now ? lua->due - now : 0;
}

tw_status tw_script_finish(tw_script *script, bool replaced, tw_error *error) {
  const char *reason = replaced ? "reload" : "end";
  return tw_hook_call(tw_script_gate(script), TW_HOOK_FINISH, reason, strlen(reason), NULL,
                      error);
}

tw_status tw_script_export_state(tw_script *script, tw_buffer *out, tw_error *error) {
  return tw_hook_call(tw_script_gate(script), TW_HOOK_EXPORT, NULL, 0, out, error);
}

tw_status tw_script_import_state(tw_script *script, const char *json, size_t len,
                                 tw_error *error) {
  return tw_hook_call(tw_script_gate(script), TW_HOOK_IMPORT, json, len, NULL, error);
}
