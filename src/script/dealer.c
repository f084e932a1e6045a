/* The function is called on a fork of the event, so that its edits go nowhere. Values that
   are equal in Lua have the same hash: 1 and 1.0. */
#include "script/dealer.h"

#include <math.h>
#include <pthread.h>
#include <xxhash.h>

#include "base/status.h"
#include "event/event.h"
#include "script/state/gate.h"
#include "script/state/message.h"

struct tw_dealer {
  pthread_mutex_t mutex; /* guards the state */
  tw_script *script;
  tw_callback *function;
};

/* -------------------------------------------------------------------- life */

typedef struct finding {
  const tw_script *script;
  tw_gate *gate;
  tw_callback *function;
} finding;

static int find_function(lua_State *L) {
  static const tw_role role = {"the function partition_by", "events take turns"};
  finding *to = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, tw_script_object(to->script));
  lua_getiuservalue(L, -1, 1);
  lua_getfield(L, -1, "partition_by"); /* self, object, holds, function */
  to->function = tw_callback_new(L, to->gate->lua, 4, 3, &role, sizeof *to->function);
  return 0;
}

/* What is emitted would go nowhere. */
tw_status tw_dealer_new(tw_script *script, tw_dealer **out, tw_error *error) {
  tw_gate *gate = tw_script_gate(script);
  finding to = {script, gate, NULL};
  tw_dealer *dealer = tw_calloc(1, sizeof *dealer);
  *out = NULL;
  gate->root = NULL;
  tw_status status =
      dealer ? tw_gate_call(gate, find_function, &to, error) : tw_no_memory(error);
  tw_script_release(script);
  if (status) {
    tw_free(dealer);
    tw_script_free(script);
    return status;
  }
  pthread_mutex_init(&dealer->mutex, NULL);
  dealer->script = script;
  dealer->function = to.function;
  *out = dealer;
  return TW_OK;
}

void tw_dealer_free(tw_dealer *dealer) {
  if (!dealer) return;
  tw_callback_free(dealer->function);
  tw_script_free(dealer->script);
  pthread_mutex_destroy(&dealer->mutex);
  tw_free(dealer);
}

/* --------------------------------------------------------------------- ask */

static uint64_t hash_number(lua_State *L, int index) {
  lua_Integer integer;
  lua_Number number = lua_tonumber(L, index);
  if (lua_isinteger(L, index)) integer = lua_tointeger(L, index);
  else if (!lua_numbertointeger(number, &integer))
    return isnan(number) ? 0 : XXH3_64bits(&number, sizeof number);
  else if (number != (lua_Number)integer) return XXH3_64bits(&number, sizeof number);
  return XXH3_64bits_withSeed(&integer, sizeof integer, 1);
}

static tw_status read_key(lua_State *L, int index, bool *has_key, uint64_t *hash,
                          tw_error *error) {
  size_t len;
  const char *text;
  *has_key = true;
  switch (lua_type(L, index)) {
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &len);
      *hash = XXH3_64bits(text, len);
      return TW_OK;
    case LUA_TNUMBER: *hash = hash_number(L, index); return TW_OK;
    case LUA_TBOOLEAN: *hash = (uint64_t)lua_toboolean(L, index); return TW_OK;
    case LUA_TNIL: *has_key = false; return TW_OK;
    default: *has_key = false;
  }
  if (lua_islightuserdata(L, index) && !lua_touserdata(L, index)) return TW_OK; /* null */
  return tw_fail(error, TW_ETYPE,
                 "partition_by returned %s; return a string, a number, a boolean or nil",
                 tw_lua_describe(L, index));
}

static tw_status ask(tw_dealer *dealer, tw_event *event, bool *has_key, uint64_t *hash,
                     tw_error *error) {
  tw_event_call call;
  tw_outcome outcome;
  if (!tw_event_call_begin(&call, dealer->function, event, 1, &outcome, error))
    return error->code;
  tw_status status = TW_OK;
  switch (outcome) {
    case TW_RETURNED: status = read_key(call.L, call.first, has_key, hash, error); break;
    case TW_DROPPED:
      status = tw_fail(error, TW_ESCRIPT, "tidewire.drop() outside of a processor");
      break;
    case TW_RAISED: status = error->code; break;
  }
  tw_event_call_end(&call);
  return status;
}

tw_status tw_dealer_ask(tw_dealer *dealer, const tw_event *event, bool *has_key, uint64_t *hash,
                        tw_error *error) {
  *has_key = false;
  tw_event fork = tw_event_fork(event);
  pthread_mutex_lock(&dealer->mutex);
  tw_status status = ask(dealer, &fork, has_key, hash, error);
  tw_script_release(dealer->script);
  pthread_mutex_unlock(&dealer->mutex);
  tw_event_end(&fork);
  return status;
}
