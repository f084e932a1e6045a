/* What tests of engines share: a folder with a script, an engine, and what comes out. Each
   program that includes it calls set_up, before, after and tear_down. */
#ifndef ENGINE_CASE_H
#define ENGINE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/oom.h"
#include "tidewire.h"

static char folder[] = "/tmp/tidewire-engine-XXXXXX";

static inline const char *path_of(const char *name) {
  static _Thread_local char path[2][256];
  static _Thread_local unsigned turn;
  char *out = path[turn++ % 2];
  snprintf(out, sizeof path[0], "%s/%s", folder, name);
  return out;
}

static inline void write_file(const char *name, const char *format, ...) {
  char fresh[64];
  snprintf(fresh, sizeof fresh, "%s.new", name);
  FILE *file = fopen(path_of(fresh), "w");
  assert_non_null(file);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  fclose(file);
  assert_int_equal(rename(path_of(fresh), path_of(name)), 0);
}

typedef struct told {
  atomic_uint dropped, failed, reloads;
  _Atomic(const char *) cause;
} told;

static inline void count_dropped(void *self, const char *cause, const tw_event *event) {
  told *to = self;
  (void)event;
  atomic_fetch_add(&to->dropped, 1);
  atomic_store(&to->cause, cause);
}

static inline void count_failed(void *self, const tw_failure *failure) {
  told *to = self;
  atomic_fetch_add(&to->failed, 1);
  (void)failure;
}

static inline void count_reloads(void *self, uint64_t generation, const tw_error *error) {
  told *to = self;
  (void)generation, (void)error;
  atomic_fetch_add(&to->reloads, 1);
}

static inline tw_engine *start(const char *options, told *to) {
  static const tw_engine_ops ops = {
      .failed = count_failed, .dropped = count_dropped, .reloaded = count_reloads};
  tw_engine *engine;
  tw_error error = {0};
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), to ? &ops : NULL, to,
                    &engine, &error))
    fail_msg("%s", error.message);
  return engine;
}

static inline tw_status send(tw_engine *engine, const char *format, ...) {
  char json[256];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(json, sizeof json, format, args);
  va_end(args);
  return tw_engine_send_json(engine, json, (size_t)len, NULL);
}

static inline void reload(tw_engine *engine) {
  tw_error error = {0};
  if (tw_engine_reload(engine, &error)) fail_msg("%s", error.message);
}

static inline void assert_refused(tw_engine *engine, const char *expected) {
  tw_error error = {0};
  assert_int_not_equal(tw_engine_reload(engine, &error), TW_OK);
  if (!strstr(error.message, expected)) fail_msg("wanted %s\ngot %s", expected, error.message);
  assert_null(strchr(error.message, '\n'));
}

static inline void flush(tw_engine *engine) {
  uint64_t remaining;
  assert_int_equal(tw_engine_flush(engine, 20000, &remaining, NULL), TW_OK);
  assert_int_equal(remaining, 0);
}

static inline tw_engine_stats stats_of(tw_engine *engine) {
  tw_engine_stats stats;
  tw_engine_get_stats(engine, &stats);
  return stats;
}

/* The lines of the output file; the file is emptied. */
static inline char *take_output(void) {
  FILE *file = fopen(path_of("out"), "r");
  assert_non_null(file);
  size_t len = 0, room = 0;
  char *text = NULL;
  ssize_t got = getdelim(&text, &room, '\0', file);
  len = got > 0 ? (size_t)got : 0;
  if (!text) text = malloc(1);
  text[len] = '\0';
  fclose(file);
  return text;
}

static inline void assert_output(const char *expected) {
  char *text = take_output();
  assert_string_equal(text, expected);
  free(text);
}

#define HEAD "local tw = require 'tidewire'\n"
#define OUT  "backends = { out = tw.backends.file { path = '%s' } }"

static inline void write_script(const char *body) {
  write_file("main.lua",
             HEAD "return tw.router { processors = { function(event) %s end }, " OUT " }", body,
             path_of("out"));
}

/* Sends events until one comes out as expected. */
static inline void await_output(tw_engine *engine, const char *expected) {
  bool found = false;
  for (int i = 0; i < 2000 && !found; i++) {
    send(engine, "{}");
    flush(engine);
    char *text = take_output();
    found = strstr(text, expected) != NULL;
    free(text);
    usleep(5000);
  }
  if (!found) fail_msg("%s never came", expected);
}

static inline void write_in_place(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static inline void write_main(const char *comment) {
  write_file("main.lua",
             HEAD
             "%s\nlocal value = require 'value'\n"
             "return tw.router { processors = { function(event) event.v = value end }, " OUT
             " }",
             comment, path_of("out"));
}

typedef struct emitter {
  tw_engine *engine;
  unsigned number, events;
  atomic_bool *go_on;
} emitter;

static inline int set_up(void **state) {
  (void)state;
  tw_oom_install();
  return mkdtemp(folder) ? 0 : -1;
}

static inline int before(void **state) {
  (void)state;
  unlink(path_of("out"));
  unlink(path_of("broken.lua"));
  return 0;
}

static inline int after(void **state) {
  (void)state;
  if (!tw_oom_live()) return 0;
  print_error("%zu blocks were not freed\n", tw_oom_live());
  return -1;
}

static inline int tear_down(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

#endif
