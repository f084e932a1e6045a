/* Scripts that try to get out, or to use up the host: each file of tests/attacks returns a
   function of an event; its first line says how the call has to end:

     -- expect: ok          it returns
     -- expect: any         it returns or fails
     -- expect: TEXT        it fails with a message that holds the text
     -- slow: …             in the second line: what it meets under the thread sanitizer

   However it ends, it ends soon, and the script goes on to route. Soon is told in processor
   time, as the limits are: a busy machine makes nothing slower by that clock. */
#include <glob.h>
#include <time.h>

#include "script/script.h"
#include "script_case.h"
#include "witness.h"

#define ATTACKS "tests/attacks"

static witness seen;

static void write_script(const char *path, const char *name) {
  char text[512];
  snprintf(text, sizeof text,
           HEAD
           "local attack = require '%s'\n"
           "local type = type\n"
           "local function run(event)\n"
           "  if event.name ~= 'attack' then return end\n"
           "  local result = attack(event)\n"
           "  if type(result) == 'table' then return result end\n"
           "end\n"
           "return tw.router { processors = { { run, on_error = 'drop' } }, " OUT " }\n",
           name);
  write_all(path, text);
}

/* The address sanitizer makes our own C about three times slower: the same work has its time.
 */
#ifdef __SANITIZE_ADDRESS__
#define SECONDS 0.9
#elif defined __SANITIZE_THREAD__
#define SECONDS 1.5
#else
#define SECONDS 0.3
#endif

static tw_script *load(const char *name) {
  static const tw_script_options options = {.package_path = ATTACKS "/?.lua",
                                            .memory = (size_t)16 << 20,
                                            .instructions = 5000000,
                                            .seconds = SECONDS};
  const char *path = in_folder("main.lua");
  tw_script *script;
  tw_error error = {0};
  write_script(path, name);
  if (tw_script_load_with(path, &options, &script, &error)) fail_msg("%s", error.message);
  watch(tw_script_router(script), &seen);
  assert_int_equal(tw_router_open(tw_script_router(script), NULL), TW_OK);
  return script;
}

/* What goes wrong is in `seen`. */
static void send_named(tw_script *script, const char *name) {
  char json[64];
  seen = (witness){0};
  snprintf(json, sizeof json, "{\"name\":\"%s\"}", name);
  send(tw_script_router(script), json);
}

/* The thread sanitizer makes our own C twenty times slower, so that a few attacks meet their
   time there before what they are about. Their second line says what they may meet, too. */
#ifdef __SANITIZE_THREAD__
enum { IS_SLOW = 1 };
#else
enum { IS_SLOW = 0 };
#endif

static bool read_line(FILE *file, const char *prefix, char *out, size_t room) {
  char line[256];
  size_t len = strlen(prefix);
  if (!fgets(line, sizeof line, file) || strncmp(line, prefix, len) != 0) return false;
  line[strcspn(line, "\n")] = '\0';
  snprintf(out, room, "%s", line + len);
  return true;
}

typedef struct outcome {
  char text[256];
  char slow[256]; /* "": there is no other */
} outcome;

static void read_expected(const char *path, outcome *out) {
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_true(read_line(file, "-- expect: ", out->text, sizeof out->text));
  out->slow[0] = '\0';
  if (IS_SLOW) read_line(file, "-- slow: ", out->slow, sizeof out->slow);
  fclose(file);
}

static bool is_as_expected(const outcome *expected) {
  if (strcmp(expected->text, "any") == 0) return true;
  if (*expected->slow && strstr(seen.message, expected->slow)) return true;
  if (strcmp(expected->text, "ok") == 0) return !*seen.message;
  return strstr(seen.message, expected->text) != NULL;
}

static bool still_routes(tw_script *script) {
  send_named(script, "plain");
  return !*seen.message || tw_script_is_sick(script);
}

/* @return how many things were wrong */
static unsigned attack(const char *path) {
  char name[128];
  outcome expected;
  const char *base = strrchr(path, '/') + 1;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(base, "."), base);
  read_expected(path, &expected);
  tw_script *script = load(name);
  clock_t began = clock();
  unsigned wrong = 0;
  send_named(script, "attack");
  double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
  if (!is_as_expected(&expected) || seconds > (*expected.slow ? 100 : 20)) {
    print_error("%s: expected '%s', got '%s' after %.3f s\n", name, expected.text, seen.message,
                seconds);
    wrong++;
  }
  if (!still_routes(script)) {
    print_error("%s: does not route any more: %s\n", name, seen.message);
    wrong++;
  }
  tw_script_free(script);
  return wrong;
}

static void every_attack_ends_cleanly_and_the_script_routes_on(void **state) {
  (void)state;
  glob_t found;
  assert_int_equal(glob(ATTACKS "/*.lua", 0, NULL, &found), 0);
  assert_true(found.gl_pathc >= 40);
  unsigned wrong = 0;
  for (size_t i = 0; i < found.gl_pathc; i++) wrong += attack(found.gl_pathv[i]);
  globfree(&found);
  assert_int_equal(wrong, 0);
}

/* A path that is not guarded would hang the second call for ever. */
static void a_killed_coroutine_never_runs_again(void **state) {
  (void)state;
  tw_script *script = load("close_of_a_killed_coroutine");
  send_named(script, "attack");
  assert_non_null(strstr(seen.message, "stopped after"));
  send_named(script, "attack");
  assert_non_null(strstr(seen.message, "stopped after"));
  tw_script_free(script);
}

/* Each seed with a new script: what one call has done to the library stays. */
static void the_librarys_own_functions_bear_any_arguments(void **state) {
  (void)state;
  for (int seed = 1; seed <= 40; seed++) {
    char json[64];
    tw_script *script = load("core_at_random");
    seen = (witness){0};
    snprintf(json, sizeof json, "{\"name\":\"attack\",\"seed\":%d}", seed);
    send(tw_script_router(script), json);
    assert_true(still_routes(script));
    tw_script_free(script);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_attack_ends_cleanly_and_the_script_routes_on),
      cmocka_unit_test(a_killed_coroutine_never_runs_again),
      cmocka_unit_test(the_librarys_own_functions_bear_any_arguments),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
