/* What a script pays for reading and writing an event through views: nanoseconds of CPU an
   operation, medians of interleaved runs, beside plain Lua tables and lua-cjson.

   Each run makes EVENTS events (parse, bind, call, unbind) whose function does its operation
   some times; an empty function's run is taken off. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "script/state/bindings.h"
#include "script/value/view.h"

int luaopen_cjson(lua_State *L);

static const char event_text[] =
    "{\"name\": \"video.played\", \"timestamp\": \"2026-11-03T07:12:09.331201Z\", \"context\": "
    "{\"user_id\": 31337, \"username\": \"learner_31337\", \"email\": "
    "\"learner_31337@example.org\", \"session\": \"0123456789abcdef0123456789abcdef\", "
    "\"course_id\": \"course-v1:TideX+C042+2026\", \"org_id\": \"TideX\", \"ip\": "
    "\"10.1.2.3\", "
    "\"agent\": \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"}, "
    "\"data\": {\"code\": \"a1b2c3d4\", \"current_time\": 1234.567, \"duration\": 3600, "
    "\"speed\": 1.5, \"muted\": false, \"tags\": [\"a\", \"b7\"], \"previous\": null, "
    "\"title\": \"Tides and currents \\u2014 unit 7\"}}";

enum { EVENTS = 40000, RUNS = 9, TEN = 10 };

typedef struct bench {
  const char *name, *body; /* of a function of `e`; ten times when it begins with '*' */
  int operations;
} bench;

static const bench benches[] = {
    {"nothing", "", 1},
    {"read a string", "*local _ = e.name ", TEN},
    {"read a long string", "*local _ = c.agent ", TEN},
    {"read an integer", "*local _ = c.user_id ", TEN},
    {"read a float", "*local _ = d.current_time ", TEN},
    {"read a container", "*local _ = e.data ", TEN},
    {"read a nested field", "*local _ = e.context.org_id ", TEN},
    {"read a missing field", "*local _ = e.nothing ", TEN},
    {"read an element", "*local _ = t[2] ", TEN},
    {"replace by a string", "*c.host = 'h1' ", TEN},
    {"replace by an integer", "*c.user_id = 42 ", TEN},
    {"remove a field", "c.email = nil ", 1},
    {"set a new field", "c.host = 'h1' ", 1},
    {"set a small table", "e.extra = {a = 1, b = 'x', c = {1, 2}} ", 1},
    {"pairs over 8 fields", "for k, v in pairs(c) do local _ = v end ", 1},
};

typedef struct bed {
  lua_State *L;
  tw_lua *lua;
  tw_store store;
} bed;

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void check(bed *b, int status) {
  if (!status) return;
  fprintf(stderr, "%s\n", lua_tostring(b->L, -1));
  exit(1);
}

static void bed_init(bed *b, bool light) {
  *b = (bed){.L = luaL_newstate()};
  luaL_openlibs(b->L);
  luaL_requiref(b->L, "cjson", luaopen_cjson, 1);
  b->lua = tw_lua_new(b->L, light);
  lua_newtable(b->L);
  tw_lua_open_event(b->L, b->lua);
  lua_setglobal(b->L, "tw");
  lua_pushstring(b->L, event_text);
  lua_setglobal(b->L, "text");
  lua_settop(b->L, 0);
  tw_store_init(&b->store, NULL);
}

static void bed_fini(bed *b) {
  lua_close(b->L);
  tw_store_fini(&b->store);
}

static void push_function(bed *b, const char *body) {
  char *code = malloc(4096);
  int at = snprintf(code, 4096,
                    "return function(e) local c, d, t = e.context, e.data, "
                    "e.data.tags ");
  for (int i = 0; i < (*body == '*' ? TEN : 1); i++)
    at += snprintf(code + at, 4096 - (size_t)at, "%s", body + (*body == '*'));
  snprintf(code + at, 4096 - (size_t)at, "end");
  check(b, luaL_loadstring(b->L, code) || lua_pcall(b->L, 0, 1, 0));
  free(code);
}

/* The function on top over EVENTS events. */
static double run_views(bed *b) {
  static char text[sizeof event_text + TW_PADDING];
  memcpy(text, event_text, sizeof event_text);
  double start = now_ns();
  for (int i = 0; i < EVENTS; i++) {
    tw_event event;
    tw_store_reset(&b->store);
    if (tw_store_parse(&b->store, text, sizeof event_text - 1, &event, NULL)) exit(1);
    uint64_t serial = tw_view_bind(b->lua, &event);
    lua_pushvalue(b->L, -1);
    tw_view_push(b->L, b->lua, serial);
    check(b, lua_pcall(b->L, 1, 0, 0));
    tw_view_unbind(b->lua, serial);
    tw_event_end(&event);
  }
  double spent = now_ns() - start;
  lua_pop(b->L, 1);
  return spent / EVENTS;
}

/* The function on top over one table, EVENTS times. */
static double run_tables(bed *b) {
  check(b, luaL_dostring(b->L, "return cjson.decode(text)")); /* function, table */
  double start = now_ns();
  for (int i = 0; i < EVENTS; i++) {
    lua_pushvalue(b->L, -2);
    lua_pushvalue(b->L, -2);
    check(b, lua_pcall(b->L, 1, 0, 0));
  }
  double spent = now_ns() - start;
  lua_settop(b->L, 0);
  return spent / EVENTS;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, RUNS, sizeof *values, by_size);
  return values[RUNS / 2];
}

enum { LIGHT, FULL, TABLE, WAYS };
static double times[sizeof benches / sizeof *benches][WAYS][RUNS];

static void run_all(bed *light, bed *full) {
  for (int run = 0; run < RUNS; run++) {
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
      push_function(light, benches[i].body);
      times[i][LIGHT][run] = run_views(light);
      push_function(full, benches[i].body);
      times[i][FULL][run] = run_views(full);
      push_function(light, benches[i].body);
      times[i][TABLE][run] = run_tables(light);
    }
  }
}

static void print_all(void) {
  double base[WAYS] = {0};
  printf("%-24s %10s %10s %10s   ns each\n", "", "own state", "host", "Lua table");
  for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
    printf("%-24s", benches[i].name);
    for (int way = 0; way < WAYS; way++) {
      double time = median(times[i][way]);
      if (!i) base[way] = time;
      printf(" %10.1f", (i ? time - base[way] : time) / benches[i].operations);
    }
    printf("\n");
  }
}

/* Whole-event conversions, in Lua: statement against statement. */
static void compare_conversions(bed *b) {
  check(b,
        luaL_dostring(b->L,
                      "local view, plain = tw.event(text), cjson.decode(text)\n"
                      "local ways = {\n"
                      "  {'tw.totable(view)', function() return tw.totable(view) end},\n"
                      "  {'tw.decode(text)', function() return tw.decode(text) end},\n"
                      "  {'cjson.decode(text)', function() return cjson.decode(text) end},\n"
                      "  {'tw.encode(table)', function() return tw.encode(plain) end},\n"
                      "  {'cjson.encode(table)', function() return cjson.encode(plain) end},\n"
                      "  {'tostring(view)', function() return tostring(view) end},\n"
                      "}\n"
                      "for _, way in ipairs(ways) do\n"
                      "  local runs = {}\n"
                      "  for run = 1, 9 do\n"
                      "    local start = os.clock()\n"
                      "    for i = 1, 20000 do way[2]() end\n"
                      "    runs[run] = (os.clock() - start) / 20000 * 1e9\n"
                      "  end\n"
                      "  table.sort(runs)\n"
                      "  print(('%-24s %10.1f'):format(way[1], runs[5]))\n"
                      "end\n"));
}

int main(void) {
  bed light, full;
  bed_init(&light, true);
  bed_init(&full, false);
  run_all(&light, &full);
  print_all();
  compare_conversions(&light);
  bed_fini(&light);
  bed_fini(&full);
  return 0;
}
