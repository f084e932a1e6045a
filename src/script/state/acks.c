/* A *mailbox* for each state that has asked, shared with those that are under way, because
   an acknowledgement may arrive when its state is gone. The mutex guards the list of those
   that have arrived, `expected` and `is_closed`; all else belongs to the state's thread. */
#include "script/state/acks.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/wait.h"
#include "core/inspect.h"
#include "script/state/gate.h"

typedef struct letter letter;
struct letter {
  letter *next;
  struct tw_acks *box; /* a reference */
  int function;        /* registry reference */
  tw_status status;
  char *message; /* of a failure; NULL: there was no memory for it */
};

struct tw_acks {
  pthread_mutex_t mutex;
  pthread_cond_t arrived;
  size_t refs; /* of the state and of letters that are expected; guarded */
  size_t expected;
  bool is_closed;
  letter *first, **last;
  atomic_size_t waiting; /* in the list: looked at without the mutex */
  bool is_calling;
};

/* ----------------------------------------------------------------- mailbox */

static struct tw_acks *new_box(void) {
  struct tw_acks *box = tw_calloc(1, sizeof *box);
  if (!box) return NULL;
  pthread_mutex_init(&box->mutex, NULL);
  tw_condition_init(&box->arrived);
  box->last = &box->first;
  box->refs = 1;
  return box;
}

/* The mutex is held, and let go. */
static void leave(struct tw_acks *box) {
  bool is_last = --box->refs == 0;
  pthread_mutex_unlock(&box->mutex);
  if (!is_last) return;
  pthread_mutex_destroy(&box->mutex);
  pthread_cond_destroy(&box->arrived);
  tw_free(box);
}

static void free_letter(letter *gone) {
  tw_free(gone->message);
  tw_free(gone);
}

void tw_acks_close(tw_lua *lua) {
  struct tw_acks *box = lua->acks;
  if (!box) return;
  lua->acks = NULL;
  pthread_mutex_lock(&box->mutex);
  box->is_closed = true;
  letter *next = box->first;
  box->first = NULL;
  leave(box);
  while (next) {
    letter *gone = next;
    next = next->next;
    free_letter(gone);
  }
}

/* ----------------------------------------------------------------- arrival */

void *tw_acks_expect(lua_State *L, tw_lua *lua, int index) {
  lua_pushvalue(L, index);
  int function = luaL_ref(L, LUA_REGISTRYINDEX);
  if (!lua->acks) lua->acks = new_box();
  letter *expected = lua->acks ? tw_calloc(1, sizeof *expected) : NULL;
  if (!expected) {
    luaL_unref(L, LUA_REGISTRYINDEX, function);
    luaL_error(L, "out of memory");
    return NULL;
  }
  *expected = (letter){.box = lua->acks, .function = function};
  pthread_mutex_lock(&lua->acks->mutex);
  lua->acks->refs++;
  lua->acks->expected++;
  pthread_mutex_unlock(&lua->acks->mutex);
  return expected;
}

void tw_acks_arrived(void *self, tw_status status, const tw_error *error) {
  letter *it = self;
  struct tw_acks *box = it->box;
  it->status = status;
  if (status != TW_OK && error) it->message = tw_strdup(error->message);
  pthread_mutex_lock(&box->mutex);
  box->expected--;
  bool is_wanted = !box->is_closed;
  if (is_wanted) {
    *box->last = it;
    box->last = &it->next;
    atomic_fetch_add(&box->waiting, 1);
    pthread_cond_signal(&box->arrived);
  }
  leave(box);
  if (!is_wanted) free_letter(it);
}

size_t tw_acks_pending(tw_lua *lua) {
  struct tw_acks *box = lua->acks;
  if (!box) return 0;
  pthread_mutex_lock(&box->mutex);
  size_t pending = box->expected + atomic_load(&box->waiting);
  pthread_mutex_unlock(&box->mutex);
  return pending;
}

void tw_acks_wait(tw_lua *lua, double seconds) {
  struct tw_acks *box = lua->acks;
  if (!box) return;
  struct timespec end = tw_deadline((uint64_t)(seconds * 1e9));
  bool is_late = false;
  pthread_mutex_lock(&box->mutex);
  while (!box->first && box->expected && !is_late)
    is_late = pthread_cond_timedwait(&box->arrived, &box->mutex, &end) != 0;
  pthread_mutex_unlock(&box->mutex);
}

/* -------------------------------------------------------------------- call */

static letter *take(struct tw_acks *box) {
  pthread_mutex_lock(&box->mutex);
  letter *taken = box->first;
  if (taken) {
    box->first = taken->next;
    if (!box->first) box->last = &box->first;
    atomic_fetch_sub(&box->waiting, 1);
  }
  pthread_mutex_unlock(&box->mutex);
  return taken;
}

static void put_back(struct tw_acks *box, letter *taken) {
  pthread_mutex_lock(&box->mutex);
  taken->next = box->first;
  if (!box->first) box->last = &taken->next;
  box->first = taken;
  atomic_fetch_add(&box->waiting, 1);
  pthread_mutex_unlock(&box->mutex);
}

typedef struct calling {
  letter *letter;
  bool is_begun;
} calling;

/* What may want for memory comes before the function's one call. */
static int call_function(lua_State *L) {
  calling *call = lua_touserdata(L, 1);
  const letter *it = call->letter;
  lua_rawgeti(L, LUA_REGISTRYINDEX, it->function);
  if (it->status == TW_OK) {
    lua_pushboolean(L, 1);
  } else {
    lua_pushnil(L);
    lua_pushstring(L, it->message ? it->message : "out of memory for the reason");
    lua_pushstring(L, tw_status_name(it->status));
  }
  luaL_unref(L, LUA_REGISTRYINDEX, it->function);
  call->is_begun = true;
  lua_call(L, lua_gettop(L) - 2, 0);
  return 0;
}

static void tell(tw_router *told, const tw_error *error) {
  if (told) tw_router_report(told, "ack", NULL, error);
  else fprintf(stderr, "tidewire: ack: %s\n", error->message);
}

/* @return whether there was memory for it */
static bool call_one(lua_State *L, tw_gate *gate, letter *taken, tw_router *told) {
  calling call = {taken, false};
  tw_error error = {0};
  switch (tw_gate_run(gate, L, call_function, &call, 0, &error)) {
    case TW_RETURNED: break;
    case TW_DROPPED:
      tw_fail(&error, TW_ESCRIPT, "tidewire.drop() outside of a processor");
      tell(told, &error);
      break;
    case TW_RAISED:
      if (call.is_begun) tell(told, &error);
      break;
  }
  return call.is_begun;
}

/* What arrives meanwhile is left for the next time: it ends. */
static size_t call_all(lua_State *L, tw_gate *gate, struct tw_acks *box, tw_router *told) {
  size_t count = atomic_load(&box->waiting), called = 0;
  letter *taken;
  while (called < count && (taken = take(box))) {
    if (!call_one(L, gate, taken, told)) {
      put_back(box, taken);
      break;
    }
    free_letter(taken);
    called++;
  }
  return called;
}

/* Whether an event is on its way through this state. */
static bool is_under_way(const tw_lua *lua) {
  bool is_bound = false;
  for (size_t i = 0; i < TW_MAX_BOUND && !is_bound; i++) is_bound = lua->bound[i].event != NULL;
  return is_bound || lua->depth;
}

size_t tw_acks_call(lua_State *L, tw_lua *lua, tw_router *told) {
  struct tw_acks *box = lua->acks;
  if (!box || box->is_calling || !atomic_load(&box->waiting)) return 0;
  if (is_under_way(lua) || !lua_checkstack(L, LUA_MINSTACK)) return 0;
  box->is_calling = true;
  tw_router_ref(told);
  lua_State *outer = tw_gate_into(lua->gate, L);
  size_t called = call_all(L, lua->gate, box, told);
  tw_router_unref(told);
  tw_gate_leave(lua->gate, outer);
  box->is_calling = false;
  return called;
}
