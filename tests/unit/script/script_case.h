/// script_case.h: what the tests of whole scripts share: a folder for the group, events sent as
/// text, and what has come to the memory backend `out`.
#ifndef TW_TEST_SCRIPT_CASE_H
#define TW_TEST_SCRIPT_CASE_H

#include <string.h>

#include "support/folder.h"
#include "support/oom.h"
#include "tidewire.h"

#define HEAD "local tw = require 'tidewire'\n"
#define OUT  "backends = { out = tw.backends.memory() }"

/// The group's setup: the counting allocator and the folder.
static inline int set_up(void **state) {
  tw_oom_install();
  return make_folder(state);
}

/// The group's teardown: no block may be left.
static inline int tear_down(void **state) {
  return remove_folder(state) || tw_oom_leaves_nothing(state) ? -1 : 0;
}

/// What fails on the way is for the observer, not for the sender.
static inline void send(tw_router *router, const char *json) {
  tw_event *event;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  tw_router_send(router, event, 0, NULL);
  tw_event_free(event);
}

static inline tw_backend *backend_of(tw_router *router, const char *name) {
  tw_backend *backend;
  tw_router *child;
  assert_int_equal(tw_router_get(router, name, &backend, &child, NULL), TW_OK);
  return backend;
}

/// @return how many events `out` holds
static inline size_t stored(tw_router *router) {
  tw_backend *backend = backend_of(router, "out");
  size_t count;
  assert_int_equal(tw_memory_count(backend, &count), TW_OK);
  tw_backend_unref(backend);
  return count;
}

/// Copies the text of the event at `index` in `out`, cut to the room.
static inline void get_stored(tw_router *router, size_t index, char *out, size_t room) {
  tw_backend *backend = backend_of(router, "out");
  tw_event *event;
  const char *text;
  size_t len;
  assert_int_equal(tw_memory_get(backend, index, &event), TW_OK);
  assert_int_equal(tw_event_json(event, &text, &len), TW_OK);
  snprintf(out, room, "%s", text);
  tw_event_free(event);
  tw_backend_unref(backend);
}

static inline void assert_stored(tw_router *router, size_t index, const char *expected) {
  char text[1024];
  get_stored(router, index, text, sizeof text);
  assert_string_equal(text, expected);
}

#endif
