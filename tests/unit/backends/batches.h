/// batches.h: batches for the tests of backends' `deliver`.
#ifndef TW_TEST_BACKENDS_BATCHES_H
#define TW_TEST_BACKENDS_BATCHES_H

#include "core/kind.h"
#include "tools.h"

/// Events `{"id":"e7","n":7,"pad":"…"}`, numbered from `first`.
typedef struct lines {
  tw_batch batch;
  char *text; ///< the lines
  size_t len;
  char *ids;
} lines;

enum { ID_ROOM = 16 };

/// @param pad  bytes that each event has besides
/// @param together  lines that lie together; then there is a gap. 0: all
static inline lines make_lines(int first, int count, int pad, int together) {
  lines l = {.text = NULL};
  size_t room = (size_t)count * ((size_t)pad + 64);
  l.text = malloc(room);
  l.ids = malloc((size_t)count * ID_ROOM);
  tw_batch_init(&l.batch);
  for (int i = 0; i < count; i++) {
    char *id = l.ids + i * ID_ROOM, *line = l.text + l.len;
    int id_len = snprintf(id, ID_ROOM, "e%d", first + i);
    int len = snprintf(line, room - l.len, "{\"id\":\"%s\",\"n\":%d,\"pad\":\"%0*d\"}\n", id,
                       first + i, pad, 0);
    tw_batch_item item = {line, (size_t)len - 1, id, (uint16_t)id_len, 0};
    assert_true(tw_batch_add(&l.batch, &item));
    l.len += (size_t)len + (together && (i + 1) % together == 0);
  }
  return l;
}

static inline void free_lines(lines *l) {
  tw_batch_fini(&l->batch);
  free(l->text);
  free(l->ids);
}

static inline tw_status deliver(tw_backend *backend, lines *l, size_t from, tw_delivered *done,
                                tw_error *error) {
  tw_batch rest;
  tw_batch_init(&rest);
  assert_true(tw_batch_slice(&l->batch, from, tw_batch_count(&l->batch) - from, &rest));
  tw_status status = tw_backend_deliver(backend, &rest, done, error);
  tw_batch_fini(&rest);
  return status;
}

static inline void deliver_all(tw_backend *backend, lines *l) {
  tw_error error = {.message = ""};
  tw_delivered done;
  if (deliver(backend, l, 0, &done, &error) != TW_OK) fail_msg("%s", error.message);
  assert_int_equal(done.count, tw_batch_count(&l->batch));
}

/// The file holds the events from `first` on, each once, whole and in order, and nothing else.
/// @return how many
static inline int check_file(const char *path, int first) {
  size_t len;
  char *text = read_all(path, &len), *at = text, *next;
  int count = 0;
  for (; (next = strchr(at, '\n')); at = next + 1, count++) {
    tw_event *event;
    tw_value n;
    if (tw_event_parse(at, (size_t)(next - at), NULL, &event, NULL) != TW_OK)
      fail_msg("%s: line %d is torn", path, count + 1);
    assert_int_equal(tw_event_get(event, "n", &n), TW_OK);
    assert_int_equal(n.integer, first + count);
    tw_event_free(event);
  }
  assert_int_equal(*at, '\0');
  free(text);
  return count;
}

#endif
