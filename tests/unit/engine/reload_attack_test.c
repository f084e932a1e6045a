/* Reloads of what is no script, at bad moments, and by careless hosts. */
#include "engine_case.h"

#include <sys/stat.h>

#include "script/sandbox/snapshot.h"

/* ------------------------------------------------------------------- files */

static void remove_main(void) {
  if (unlink(path_of("main.lua"))) rmdir(path_of("main.lua"));
}

static void become_nothing(void) { remove_main(); }

static void become_a_folder(void) {
  remove_main();
  mkdir(path_of("main.lua"), 0700);
}

static void become_a_pipe(void) {
  remove_main();
  mkfifo(path_of("main.lua"), 0600);
}

static void become_a_device(void) {
  remove_main();
  assert_int_equal(symlink("/dev/zero", path_of("main.lua")), 0);
}

static void become_a_loop(void) {
  remove_main();
  assert_int_equal(symlink("main.lua", path_of("main.lua")), 0);
}

static void become_a_dead_link(void) {
  remove_main();
  assert_int_equal(symlink("nowhere", path_of("main.lua")), 0);
}

static void become_empty(void) { write_file("main.lua", ""); }

static void become_bytecode(void) { write_file("main.lua", "\x1bLuaT"); }

static void become_unreadable(void) {
  write_script("event.v = 3");
  chmod(path_of("main.lua"), 0);
}

static void what_is_no_script_is_told_and_can_be_mended(void **state) {
  (void)state;
  static const struct {
    void (*become)(void);
    const char *expected;
  } cases[] = {
      {become_nothing, "main.lua: No such file or directory"},
      {become_a_folder, "main.lua: Is a directory"},
      {become_a_pipe, "main.lua: Not a regular file"},
      {become_a_device, "main.lua: Not a regular file"},
      {become_a_loop, "main.lua: Too many levels of symbolic links"},
      {become_a_dead_link, "main.lua: No such file or directory"},
      {become_empty, "main.lua: the script must return a router"},
      {become_bytecode, "main.lua: attempt to load a binary chunk"},
      {become_unreadable, "main.lua: Permission denied"},
  };
  write_script("event.v = 1");
  tw_engine *engine = start("{\"watch\":true}", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cases[i].become();
    bool may_read_all = cases[i].become == become_unreadable && geteuid() == 0;
    if (!may_read_all) assert_refused(engine, cases[i].expected);
    remove_main();
    write_script("event.v = 2");
    reload(engine);
    send(engine, "{}");
    flush(engine);
    assert_output("{\"v\":2}\n");
    unlink(path_of("out"));
    write_script("event.v = 1");
    reload(engine);
  }
  tw_engine_unref(engine);
}

static void of_a_thousand_quick_versions_the_last_one_wins(void **state) {
  (void)state;
  write_file("value.lua", "return 'v000'");
  write_main("");
  tw_engine *engine = start("{\"watch\":true}", NULL);
  for (unsigned i = 1; i <= 1000; i++) {
    char text[32];
    snprintf(text, sizeof text, "return 'v%03u'", i % 1000);
    if (i == 1000) snprintf(text, sizeof text, "return 'last'");
    write_in_place("value.lua", text);
    if (i % 100 == 50) usleep(30000);
  }
  await_output(engine, "{\"v\":\"last\"}");
  tw_engine_unref(engine);
}

/* Within one tick of the file system's clock it leaves no trace but itself. */
static void an_equally_long_text_of_the_same_moment_is_seen(void **state) {
  (void)state;
  write_in_place("value.lua", "return 0");
  for (int i = 0; i < 200; i++) {
    const tw_source *source;
    tw_snapshot *snapshot = tw_snapshot_new();
    assert_int_equal(tw_snapshot_read(snapshot, path_of("value.lua"), &source, NULL), TW_OK);
    assert_true(tw_snapshot_is_current(snapshot));
    write_in_place("value.lua", i % 2 ? "return 0" : "return 1");
    assert_false(tw_snapshot_is_current(snapshot));
    tw_snapshot_unref(snapshot);
  }
}

/* ----------------------------------------------------------------- modules */

#define LATE                                                     \
  HEAD "%s\nreturn tw.router { processors = { function(event)\n" \
       "  local ok, value = pcall(require, 'late')\n"            \
       "  event.v = ok and value or value:match('module .*')\n"  \
       "end }, " OUT " }"

static void a_module_that_is_required_late_is_refused(void **state) {
  (void)state;
  write_file("late.lua", "return 1");
  write_file("main.lua", LATE, "", path_of("out"));
  tw_engine *engine = start("{}", NULL);
  send(engine, "{}");
  flush(engine);
  assert_output(
      "{\"v\":\"module 'late' was not required while the script was loaded, and no "
      "file is read later: require it at the top of the script, or outside of "
      "functions\"}\n");
  tw_engine_unref(engine);
}

static void a_late_require_gets_the_text_of_its_generation(void **state) {
  (void)state;
  write_file("late.lua", "return 1");
  write_file("main.lua", LATE, "require 'late' package.loaded.late = nil", path_of("out"));
  tw_engine *engine = start("{}", NULL);
  write_file("late.lua", "return 2");
  write_file("broken.lua", "return {");
  send(engine, "{}");
  flush(engine);
  assert_output("{\"v\":1}\n");
  reload(engine);
  unlink(path_of("out"));
  reload(engine);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"v\":2}\n");
  tw_engine_unref(engine);
}

/* ------------------------------------------------------------------- hosts */

static void *reload_once(void *engine) {
  reload(engine);
  return NULL;
}

enum { CALLERS = 200 };

static void two_hundred_calls_at_once_are_all_answered(void **state) {
  (void)state;
  write_script("event.v = 1");
  tw_engine *engine = start("{\"workers\":2}", NULL);
  write_script("event.v = 2");
  pthread_t threads[CALLERS];
  for (int i = 0; i < CALLERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, reload_once, engine), 0);
  for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
  assert_true(stats_of(engine).reloads <= CALLERS);
  send(engine, "{}");
  flush(engine);
  assert_output("{\"v\":2}\n");
  tw_engine_unref(engine);
}

typedef struct caller {
  tw_engine *_Atomic engine;
  atomic_uint calls;
  tw_status reload, flush, close;
} caller;

static void call_back(void *self, const tw_failure *failure) {
  caller *me = self;
  (void)failure;
  tw_engine *engine = atomic_load(&me->engine);
  me->reload = tw_engine_reload(engine, NULL);
  me->flush = tw_engine_flush(engine, -1, NULL, NULL);
  me->close = tw_engine_close(engine, -1, NULL, NULL);
  atomic_fetch_add(&me->calls, 1);
}

static void a_callback_of_a_worker_is_refused(void **state) {
  (void)state;
  static const tw_engine_ops ops = {.failed = call_back};
  caller me = {NULL, 0, TW_OK, TW_OK, TW_OK};
  tw_engine *engine;
  write_script("error 'bad'");
  assert_int_equal(tw_engine_new(path_of("main.lua"), NULL, 0, &ops, &me, &engine, NULL),
                   TW_OK);
  atomic_store(&me.engine, engine);
  send(engine, "{}");
  flush(engine);
  assert_int_equal(atomic_load(&me.calls), 1);
  assert_int_equal(me.reload, TW_EINVAL);
  assert_int_equal(me.flush, TW_EINVAL);
  assert_int_equal(me.close, TW_EINVAL);
  tw_engine_unref(engine);
}

static void call_from_reloaded(void *self, uint64_t generation, const tw_error *error) {
  caller *me = self;
  (void)generation, (void)error;
  if (atomic_fetch_add(&me->calls, 1)) return;
  tw_engine *engine = atomic_load(&me->engine);
  me->reload = tw_engine_reload(engine, NULL);
  me->close = tw_engine_close(engine, -1, NULL, NULL);
}

static void a_callback_of_a_reload_is_refused(void **state) {
  (void)state;
  static const tw_engine_ops ops = {.reloaded = call_from_reloaded};
  caller me = {NULL, 0, TW_OK, TW_OK, TW_OK};
  tw_engine *engine;
  write_script("");
  assert_int_equal(tw_engine_new(path_of("main.lua"), NULL, 0, &ops, &me, &engine, NULL),
                   TW_OK);
  atomic_store(&me.engine, engine);
  reload(engine);
  assert_int_equal(atomic_load(&me.calls), 1);
  assert_int_equal(me.reload, TW_EINVAL);
  assert_int_equal(me.close, TW_EINVAL);
  reload(engine);
  tw_engine_unref(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_is_no_script_is_told_and_can_be_mended),
      TEST(of_a_thousand_quick_versions_the_last_one_wins),
      TEST(an_equally_long_text_of_the_same_moment_is_seen),
      TEST(a_module_that_is_required_late_is_refused),
      TEST(a_late_require_gets_the_text_of_its_generation),
      TEST(two_hundred_calls_at_once_are_all_answered),
      TEST(a_callback_of_a_worker_is_refused),
      TEST(a_callback_of_a_reload_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
