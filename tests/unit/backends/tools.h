/// tools.h: what the tests of backends share: backends by kind, events from text, and
/// files read back.
#ifndef TW_TEST_BACKENDS_TOOLS_H
#define TW_TEST_BACKENDS_TOOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/backend.h"
#include "support/folder.h"
#include "tidewire.h"

/// @param options  JSON in which each `@` stands for the folder
static inline tw_status try_backend(const char *kind, const char *options, tw_backend **out,
                                    tw_error *error) {
  char text[1024];
  size_t len = 0;
  for (; *options; options++) {
    if (*options == '@') len += (size_t)snprintf(text + len, sizeof text - len, "%s", folder);
    else text[len++] = *options;
  }
  return tw_backend_new_kind(kind, text, len, out, error);
}

static inline tw_backend *make_backend(const char *kind, const char *options) {
  tw_error error = {.message = ""};
  tw_backend *backend;
  if (try_backend(kind, options, &backend, &error) != TW_OK) fail_msg("%s", error.message);
  return backend;
}

static inline void open_it(tw_backend *backend) {
  tw_error error = {.message = ""};
  if (tw_backend_use(backend, &error) != TW_OK) fail_msg("%s", error.message);
}

static inline tw_backend *open_backend(const char *kind, const char *options) {
  tw_backend *backend = make_backend(kind, options);
  open_it(backend);
  return backend;
}

static inline void close_backend(tw_backend *backend) {
  uint64_t lost;
  tw_backend_unuse(backend, &lost, NULL);
  tw_backend_unref(backend);
}

static inline tw_event *make_event(const char *json) {
  tw_event *event;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  return event;
}

static inline tw_status try_send(tw_backend *backend, const char *json, unsigned flags,
                                 tw_error *error) {
  tw_event *event = make_event(json);
  tw_status status = tw_backend_send(backend, event, flags, error);
  tw_event_free(event);
  return status;
}

static inline void send_json(tw_backend *backend, const char *json, unsigned flags) {
  tw_error error = {.message = ""};
  if (try_send(backend, json, flags, &error) != TW_OK) fail_msg("%s", error.message);
}

static inline void flush_it(tw_backend *backend) {
  tw_error error = {.message = ""};
  uint64_t lost = 0;
  if (tw_backend_flush(backend, &lost, &error) != TW_OK) fail_msg("%s", error.message);
  assert_int_equal(lost, 0);
}

static inline tw_backend_stats stats_of(const tw_backend *backend) {
  tw_backend_stats stats;
  tw_backend_get_stats(backend, &stats);
  return stats;
}

static inline void assert_says(const tw_error *error, const char *part) {
  if (!strstr(error->message, part)) fail_msg("\"%s\" is not in: %s", part, error->message);
}

/// A file's content, NUL-terminated; free it. Fails when there is none.
static inline char *read_all(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("no file %s", path);
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(size + 1);
  assert_int_equal(fread(text, 1, size, file), size);
  text[size] = '\0';
  fclose(file);
  if (len) *len = size;
  return text;
}

static inline void assert_file(const char *path, const char *expected) {
  char *text = read_all(path, NULL);
  assert_string_equal(text, expected);
  free(text);
}

#endif
