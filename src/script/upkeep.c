/* upkeep.c: what a host does with a loaded script.

   What a script holds back and keeps is known to the Lua library alone. It gave C a hook for
   each question (time.h), and has C know when its next timer is due: so a script without
   timers costs one comparison, and no call into Lua. */
#include "script/upkeep.h"

#include "core/inspect.h"
#include "script/object/time.h"
#include "script/state/gate.h"

/* An event that the script's own backend sends back in is part of the one that is under way. */
tw_status tw_script_deliver(tw_script *script, const tw_event *event, unsigned flags,
                            uint64_t *reached, tw_error *error) {
  tw_router *router = tw_script_router(script);
  tw_guard *guard = tw_script_gate(script)->lua->guard;
  bool outermost =
      !guard->in_event && !atomic_load_explicit(&guard->depth, memory_order_relaxed);
  if (outermost) tw_guard_begin_event(guard);
  tw_status status = tw_router_deliver(router, event, flags, reached, error);
  if (outermost) tw_guard_end_event(guard);
  return status;
}

/* ---------------------------------------------------------------- one backend */

typedef struct search {
  const char *path;
  tw_backend *found;
} search;

static void compare(void *self, const char *path, tw_backend *backend, tw_router *child) {
  search *wanted = self;
  (void)child;
  if (!wanted->found && strcmp(path, wanted->path) == 0)
    wanted->found = tw_backend_ref(backend);
}

tw_status tw_script_backend(tw_script *script, const char *path, tw_backend **out,
                            tw_error *error) {
  search wanted = {path, NULL};
  tw_status status = tw_router_visit(tw_script_router(script), compare, &wanted);
  *out = wanted.found;
  if (wanted.found) return TW_OK;
  if (status != TW_OK) return tw_no_memory(error);
  return tw_fail(error, TW_ENOENT, "the script has no backend \"%.200s\"", path);
}

void tw_script_redirect(tw_script *script, tw_script_emit_fn emit, void *self) {
  tw_gate *gate = tw_script_gate(script);
  gate->emit = emit;
  gate->emit_self = self;
}

/* ------------------------------------------------------------------ memory */

/* In protected mode, as a state that is full may raise anything. */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

tw_script_memory tw_script_collect(tw_script *script) {
  tw_gate *gate = tw_script_gate(script);
  const tw_guard *guard = gate->lua->guard;
  tw_gate_call(gate, collect, NULL, NULL);
  return (tw_script_memory){guard->used, guard->memory};
}

void tw_script_lend_memory(tw_script *script) {
  tw_guard *guard = tw_script_gate(script)->lua->guard;
  guard->memory = guard->memory < SIZE_MAX / 4 ? guard->memory * 4 : SIZE_MAX;
}

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
  tw_guard *guard = tw_script_gate(script)->lua->guard;
  size_t memory = guard->memory;
  if (guard->sick) tw_script_lend_memory(script); /* or it could never be replaced */
  tw_status status = tw_hook_call(tw_script_gate(script), TW_HOOK_EXPORT, NULL, 0, out, error);
  guard->memory = memory;
  return status;
}

tw_status tw_script_import_state(tw_script *script, const char *json, size_t len,
                                 tw_error *error) {
  return tw_hook_call(tw_script_gate(script), TW_HOOK_IMPORT, json, len, NULL, error);
}
