/* A router script in a Lua state of its own.

   Everything that may raise runs in protected calls; the first errors, before the gate is
   there, are told by their text alone. The state is released to whichever thread enters it
   first after loading. */
#include "script/script.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "script/object/module.h"
#include "script/object/object.h"
#include "script/sandbox/sandbox.h"
#include "script/sandbox/search.h"
#include "script/state/message.h"

struct tw_script {
  lua_State *L;
  tw_guard guard;
  tw_gate *gate;
  tw_router *router; /* borrowed from the Lua object, which the registry holds */
  int object;        /* registry reference of that */
  tw_script_setup setup;
  tw_share share;            /* of the pool */
  uint64_t received, failed; /* by scripts before that it follows */
};

/* ---------------------------------------------------------------- prepare */

typedef struct preparing {
  tw_script *script;
  const char *path;
} preparing;

static int prepare(lua_State *L) {
  preparing *to = lua_touserdata(L, 1);
  tw_script *script = to->script;
  tw_lua *lua = tw_lua_new(L, true);
  lua->guard = &script->guard;
  tw_sandbox_open(L, lua, to->path, script->setup.options, script->setup.snapshot);
  script->gate = tw_module_open(L, true);
  script->gate->is_script = true;
  script->gate->share = script->setup.pool ? &script->share : NULL;
  script->gate->host = script->setup.host;
  script->gate->generation = script->setup.generation;
  script->gate->is_rehearsal = script->setup.is_rehearsal;
  return 0;
}

enum { MEMORY = 64 << 20, INSTRUCTIONS = 10000000, SECONDS = 1, COOL_DOWN = 10 };

static uint64_t nanoseconds(double seconds) {
  return seconds >= 1e9 ? TW_UNLIMITED : (uint64_t)(seconds * 1e9);
}

static void set_limits(tw_guard *guard, const tw_script_options *options) {
  guard->memory = options->memory ? options->memory : MEMORY;
  guard->instructions = options->instructions ? options->instructions : INSTRUCTIONS;
  guard->time = nanoseconds(options->seconds > 0 ? options->seconds : SECONDS);
  guard->cool_down = nanoseconds(options->cool_down > 0 ? options->cool_down : COOL_DOWN);
  tw_guard_init(guard);
}

static tw_status open_state(tw_script *script, const char *path, tw_error *error) {
  script->L = lua_newstate(tw_guard_allocate, &script->guard);
  if (!script->L) return tw_no_memory(error);
  preparing to = {script, path};
  lua_pushcfunction(script->L, prepare);
  lua_pushlightuserdata(script->L, &to);
  int status = lua_pcall(script->L, 1, 0, 0);
  if (status == LUA_OK) return TW_OK;
  if (status == LUA_ERRMEM) return tw_no_memory(error);
  return tw_fail(error, TW_ESCRIPT, "%s", lua_tostring(script->L, -1));
}

/* --------------------------------------------------------------- messages */

/* @return whether the message begins with `name:line: ` */
static bool has_position(const char *message) {
  const char *at = message;
  while ((at = strchr(at, ':'))) {
    size_t digits = strspn(++at, "0123456789");
    if (digits && at[digits] == ':') return true;
  }
  return false;
}

static void add_hint(const char *path, tw_error *error) {
  if (!has_position(error->message)) tw_error_prefix(error, "%s: ", path);
  const char *missing = strstr(error->message, "module '");
  size_t len = strlen(error->message);
  if (missing && strcmp(error->message + len - strlen("' not found"), "' not found") == 0)
    snprintf(error->message + len, sizeof error->message - len,
             "; require looks beside the script and in --package-path");
}

/* ------------------------------------------------------------------- load */

static int take_router(lua_State *L) {
  tw_script *script = lua_touserdata(L, 1);
  tw_lua *lua = script->gate->lua;
  tw_handle *handle = tw_handle_test(L, lua, 2, TW_CLASS_ROUTER);
  if (!handle) return 0;
  script->object = luaL_ref(L, LUA_REGISTRYINDEX);
  script->router = handle->router;
  return 0;
}

/* The chunk's result is on top. */
static tw_status keep_router(tw_script *script, const char *path, tw_error *error) {
  lua_State *L = script->L;
  tw_gate_push_handler(L, script->gate);
  lua_pushcfunction(L, take_router);
  lua_pushlightuserdata(L, script);
  lua_pushvalue(L, -4);
  if (tw_gate_pcall(script->gate, L, 2, 0, error) != TW_RETURNED) return error->code;
  if (script->router) return TW_OK;
  return tw_fail(error, TW_ESCRIPT,
                 "%s: the script must return a router, not %s: end it with "
                 "`return tw.router { … }`",
                 path, tw_lua_describe(L, -1));
}

typedef struct loading {
  const tw_source *source;
  int status; /* of tw_search_load */
} loading;

/* Leaves the chunk, or what is wrong with it. */
static int load_file(lua_State *L) {
  loading *file = lua_touserdata(L, 1);
  file->status = tw_search_load(L, file->source);
  return 1;
}

static tw_status describe(lua_State *L, const loading *file, tw_error *error) {
  if (file->status == LUA_ERRMEM) return tw_no_memory(error);
  char line[sizeof error->message];
  tw_message_line(lua_tostring(L, -1), line, sizeof line);
  tw_fail(error, TW_ESCRIPT, "%s", line);
  add_hint(file->source->path, error);
  return error->code;
}

/* A file that is missing is told without a position; all else begins with one. */
static tw_status read_source(tw_script *script, const char *path, const tw_source **out,
                             tw_error *error) {
  tw_status status = tw_snapshot_read(script->setup.snapshot, path, out, error);
  if (status == TW_EIO) tw_error_prefix(error, "%s: ", path);
  return status;
}

static tw_status outcome_of(tw_outcome outcome, const char *path, tw_error *error) {
  switch (outcome) {
    case TW_RETURNED: return TW_OK;
    case TW_DROPPED:
      return tw_fail(error, TW_ESCRIPT, "%s: tidewire.drop() outside of a processor", path);
    case TW_RAISED: break;
  }
  if (error->code == TW_ESCRIPT || error->code == TW_ENOMEM) add_hint(path, error);
  return error->code;
}

static tw_status run(tw_script *script, const char *path, tw_error *error) {
  lua_State *L = script->L;
  tw_gate *gate = script->gate;
  loading file = {NULL, LUA_OK};
  tw_status status = read_source(script, path, &file.source, error);
  if (status) return status;
  tw_gate_push_handler(L, gate);
  tw_outcome outcome = tw_gate_run(gate, L, load_file, &file, 1, error);
  if (outcome != TW_RETURNED) return outcome_of(outcome, path, error);
  if (file.status != LUA_OK) return describe(L, &file, error);
  outcome = tw_gate_pcall(gate, L, 0, 1, error);
  if (outcome != TW_RETURNED) return outcome_of(outcome, path, error);
  return keep_router(script, path, error);
}

static tw_status take_setup(tw_script *script, const tw_script_setup *setup, tw_error *error) {
  static const tw_script_options defaults;
  script->setup = *setup;
  if (!setup->options) script->setup.options = &defaults;
  set_limits(&script->guard, script->setup.options);
  script->share.pool = setup->pool;
  script->share.worker = setup->worker;
  script->setup.snapshot =
      setup->snapshot ? tw_snapshot_ref(setup->snapshot) : tw_snapshot_new();
  return script->setup.snapshot ? TW_OK : tw_no_memory(error);
}

/* While it loads, a script may do more than for an event. */
enum { LOADING_SCALE = 10 };

tw_status tw_script_load_as(const char *path, const tw_script_setup *setup, tw_script **out,
                            tw_error *error) {
  tw_error mine = {0};
  if (!error) error = &mine;
  *out = NULL;
  if (setup->options && tw_script_check_options(setup->options, error)) return error->code;
  tw_script *script = tw_calloc(1, sizeof *script);
  if (!script) return tw_no_memory(error);
  tw_status status = take_setup(script, setup, error);
  if (status == TW_OK) status = open_state(script, path, error);
  script->guard.scale = LOADING_SCALE;
  if (status == TW_OK) status = run(script, path, error);
  script->guard.scale = 1;
  script->setup.options = NULL;
  if (status) {
    tw_script_free(script);
    return status;
  }
  lua_settop(script->L, 0);
  tw_gate_lay_floor(script->gate);
  script->gate->root = script->router;
  tw_script_release(script);
  *out = script;
  return TW_OK;
}

tw_status tw_script_load(const char *path, tw_script **out, tw_error *error) {
  const tw_script_setup alone = {0};
  return tw_script_load_as(path, &alone, out, error);
}

tw_status tw_script_load_with(const char *path, const tw_script_options *options,
                              tw_script **out, tw_error *error) {
  const tw_script_setup alone = {.options = options};
  return tw_script_load_as(path, &alone, out, error);
}

/* ------------------------------------------------------------------- tally */

static void add_failures(void *self, const char *path, tw_backend *backend, tw_router *child) {
  uint64_t *failed = self;
  tw_router_stats stats;
  (void)path, (void)backend;
  if (!child) return;
  tw_router_get_stats(child, &stats);
  *failed += stats.failed;
}

void tw_script_tally(const tw_script *script, uint64_t *received, uint64_t *failed) {
  tw_router_stats stats;
  tw_router_get_stats(script->router, &stats);
  *received = script->received + stats.received;
  *failed = script->failed + stats.failed;
  tw_router_visit(script->router, add_failures, failed);
}

void tw_script_follow(tw_script *script, const tw_script *before) {
  tw_script_tally(before, &script->received, &script->failed);
}

const tw_script_setup *tw_script_get_setup(const tw_script *script) { return &script->setup; }

bool tw_script_is_sick(const tw_script *script) { return script->guard.sick; }

tw_router *tw_script_router(tw_script *script) { return script->router; }

void tw_script_release(tw_script *script) { tw_gate_release(script->gate); }

/* --------------------------------------------------------------- rehearsal */

/* require("tidewire.testing").rehearse(router) raises what failed. */
static int rehearse(lua_State *L) {
  tw_script *script = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tidewire.testing");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "rehearse");
  lua_rawgeti(L, LUA_REGISTRYINDEX, script->object);
  lua_call(L, 1, 0);
  return 0;
}

tw_status tw_script_rehearse(tw_script *script, tw_error *error) {
  return tw_gate_call(script->gate, rehearse, script, error);
}

/* ------------------------------------------------------------ declaration */

typedef struct question {
  tw_script *script;
  const char *field;
  bool is_there;
  tw_buffer *json; /* NULL: not asked for */
} question;

/* What the router was declared with stands in what it holds. */
static int answer(lua_State *L) {
  question *asked = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, asked->script->object);
  lua_getiuservalue(L, -1, 1);
  asked->is_there = lua_getfield(L, -1, asked->field) != LUA_TNIL;
  if (!asked->is_there || !asked->json) return 0;
  size_t len;
  tw_lua *lua = asked->script->gate->lua;
  const char *text = tw_lua_check_json(L, lua, lua_gettop(L), asked->field, &len);
  if (!tw_buffer_append(asked->json, text, len)) return luaL_error(L, "out of memory");
  return 0;
}

bool tw_script_has_tests(tw_script *script) {
  question asked = {script, "tests", false, NULL};
  return tw_gate_call(script->gate, answer, &asked, NULL) == TW_OK && asked.is_there;
}

bool tw_script_has_partition(tw_script *script) {
  question asked = {script, "partition_by", false, NULL};
  return tw_gate_call(script->gate, answer, &asked, NULL) == TW_OK && asked.is_there;
}

tw_status tw_script_engine_options(tw_script *script, char **text, size_t *len,
                                   tw_error *error) {
  tw_buffer json = {0};
  question asked = {script, "engine", false, &json};
  tw_status status = tw_gate_call(script->gate, answer, &asked, error);
  if (status == TW_OK && !asked.is_there && !tw_buffer_append(&json, "{}", 2))
    status = tw_no_memory(error);
  if (status) tw_buffer_fini(&json);
  *text = json.data;
  *len = json.len;
  return status;
}

tw_status tw_script_close(tw_script *script, tw_error *error) {
  if (!script || !script->router) return TW_OK;
  tw_gate_into(script->gate, script->L);
  return tw_router_close(script->router, error);
}

int tw_script_object(const tw_script *script) { return script->object; }

tw_gate *tw_script_gate(const tw_script *script) { return script->gate; }

/* The router goes first, while its functions are all there to be flushed. */
void tw_script_free(tw_script *script) {
  if (!script) return;
  if (script->gate) tw_gate_into(script->gate, script->L);
  tw_script_close(script, NULL);
  if (script->L) lua_close(script->L);
  tw_guard_fini(&script->guard);
  tw_share_end(&script->share);
  tw_snapshot_unref(script->setup.snapshot);
  tw_free(script);
}
