/* A host that has libtidewire and runs a Lua program with the module: two copies of the
   library in one process. Neither may free the other's memory or see its trackers. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidewire.h>

#define MARK      "of the host's   "
#define MARK_SIZE (sizeof MARK - 1)

static long calls;

/* Marks its blocks, as an allocator of a host's own would. */
static void *host_realloc(void *self, void *block, size_t size) {
  char *start = block ? (char *)block - MARK_SIZE : NULL;
  (void)self;
  calls++;
  if (start && memcmp(start, MARK, MARK_SIZE) != 0) {
    fputs("two_copies: a block of the other copy came to the host's allocator\n", stderr);
    exit(1);
  }
  if (!size) return free(start), NULL;
  start = realloc(start, MARK_SIZE + size);
  return start ? (char *)memcpy(start, MARK, MARK_SIZE) + MARK_SIZE : NULL;
}

static const char program[] =
    "local tw = require 'tidewire'\n"
    "local event = tw.event '{\"a\":1}'\n"
    "event.a = 2\n"
    "assert(tostring(event) == '{\"a\":2}')\n"
    "local tracker = tw.tracker { backends = { m = tw.backends.memory {} } }\n"
    "assert(tracker:emit('x', { a = 1 }))\n"
    "assert(not pcall(tw.get_tracker), 'it sees the trackers of the host')\n";

int main(int count, char **arguments) {
  const tw_allocator allocator = {host_realloc, NULL};
  tw_tracker *tracker;
  int wrong = 1;
  if (count != 2) return 64;
  tw_set_allocator(&allocator);
  if (tw_tracker_new(NULL, &tracker, NULL)) return 1;
  if (tw_register_tracker(tracker, NULL, NULL)) return 1;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushstring(L, arguments[1]);
  lua_setfield(L, -2, "cpath");
  long before = calls;
  if (luaL_dostring(L, program)) fprintf(stderr, "two_copies: %s\n", lua_tostring(L, -1));
  else if (calls != before) fputs("two_copies: the module used the host's allocator\n", stderr);
  else wrong = 0;
  lua_close(L);
  tw_unregister_tracker(NULL, NULL);
  tw_tracker_unref(tracker);
  return wrong;
}
