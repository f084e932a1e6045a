/* Watching where the system tells of nothing, too late, or twice. */
#include "engine_case.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

static atomic_bool has_no_watches;

/* In place of the C library's, for libuv. */
__attribute__((visibility("default"))) int inotify_add_watch(int fd, const char *path,
                                                             uint32_t mask) {
  if (!atomic_load(&has_no_watches)) return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
  errno = ENOSPC;
  return -1;
}

typedef struct host {
  atomic_uint refused, told;
  tw_error error;       /* that was told last */
  bool is_edited_again; /* after the first refusal */
} host;

static void count_refused(void *self, uint64_t generation, const tw_error *error) {
  host *to = self;
  (void)generation;
  if (!error) return;
  unsigned before_it = atomic_fetch_add(&to->refused, 1);
  if (to->is_edited_again && !before_it) write_file("main.lua", "nor is that");
}

static void keep_trouble(void *self, const tw_failure *failure) {
  host *to = self;
  if (strcmp(failure->where, "watch") != 0) return;
  to->error = *failure->error;
  atomic_fetch_add(&to->told, 1);
}

static tw_engine *watch(const char *name, host *to) {
  static const tw_engine_ops ops = {.failed = keep_trouble, .reloaded = count_refused};
  tw_engine *engine;
  tw_error error = {0};
  const char options[] = "{\"watch\":true}";
  if (tw_engine_new(path_of(name), options, sizeof options - 1, &ops, to, &engine, &error))
    fail_msg("%s", error.message);
  return engine;
}

static void write_value(const char *name, int value) {
  write_file(name,
             HEAD "return tw.router { processors = { function(event) event.v = %d end }, " OUT
                  " }",
             value, path_of("out"));
}

static void a_folder_that_was_moved_and_made_anew_is_watched_again(void **state) {
  (void)state;
  host to = {0};
  assert_int_equal(mkdir(path_of("sub"), 0700), 0);
  write_value("sub/main.lua", 1);
  tw_engine *engine = watch("sub/main.lua", &to);
  await_output(engine, "{\"v\":1}");
  assert_int_equal(rename(path_of("sub"), path_of("before")), 0);
  assert_int_equal(mkdir(path_of("sub"), 0700), 0);
  write_value("sub/main.lua", 2);
  await_output(engine, "{\"v\":2}");
  write_value("sub/main.lua", 3);
  await_output(engine, "{\"v\":3}");
  assert_int_equal(to.told, 0);
  tw_engine_unref(engine);
}

static void what_the_system_cannot_watch_is_told_and_looked_at(void **state) {
  (void)state;
  host to = {0};
  write_value("main.lua", 1);
  atomic_store(&has_no_watches, true);
  tw_engine *engine = watch("main.lua", &to);
  await_output(engine, "{\"v\":1}");
  write_value("main.lua", 2);
  await_output(engine, "{\"v\":2}");
  write_value("main.lua", 3);
  await_output(engine, "{\"v\":3}");
  atomic_store(&has_no_watches, false);
  tw_engine_unref(engine);
  assert_int_equal(to.told, 1);
  assert_non_null(strstr(to.error.message, "the system does not tell of changes here"));
}

static void await_refused(host *to, unsigned count) {
  for (int i = 0; i < 20000 && atomic_load(&to->refused) < count; i++) usleep(1000);
}

/* The second edit comes so quickly that it is found before the system tells of it. */
static void a_refusal_is_told_once(void **state) {
  (void)state;
  host to = {.is_edited_again = true};
  write_value("main.lua", 1);
  tw_engine *engine = watch("main.lua", &to);
  write_file("main.lua", "this is no Lua");
  await_refused(&to, 2);
  usleep(300000); /* the system has told of all by now */
  assert_int_equal(to.refused, 2);
  write_value("main.lua", 2);
  await_output(engine, "{\"v\":2}");
  assert_int_equal(to.refused, 2);
  tw_engine_unref(engine);
}

static void a_module_that_comes_later_mends_a_refused_script(void **state) {
  (void)state;
  host to = {0};
  write_value("main.lua", 1);
  tw_engine *engine = watch("main.lua", &to);
  write_main("");
  await_refused(&to, 1);
  write_file("value.lua", "return 7");
  await_output(engine, "{\"v\":7}");
  assert_int_equal(to.refused, 1);
  tw_engine_unref(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_folder_that_was_moved_and_made_anew_is_watched_again),
      TEST(what_the_system_cannot_watch_is_told_and_looked_at),
      TEST(a_refusal_is_told_once),
      TEST(a_module_that_comes_later_mends_a_refused_script),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
