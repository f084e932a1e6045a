/// probe.h: backends, processors and observers that write down what they see.
#ifndef TW_TEST_PROBE_H
#define TW_TEST_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/backend.h"
#include "core/inspect.h"
#include "tidewire.h"

/// One text in which everything is written down, each entry followed by a space.
typedef struct probe_log {
  char text[16384];
  size_t len;
} probe_log;

static inline void log_add(probe_log *log, const char *format, ...) TW_PRINTF(2, 3);
static inline void log_add(probe_log *log, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int more = vsnprintf(log->text + log->len, sizeof log->text - log->len, format, args);
  va_end(args);
  log->len += (size_t)more;
  assert_true(log->len + 1 < sizeof log->text);
  log->text[log->len++] = ' ';
  log->text[log->len] = '\0';
}

static inline void log_clear(probe_log *log) { log->len = 0, log->text[0] = '\0'; }

#define assert_log(log, expected)               \
  do {                                          \
    assert_string_equal((log)->text, expected); \
    log_clear(log);                             \
  } while (0)

/* ---------------------------------------------------------------- backends */

/// A backend that logs `name:JSON` for each event, and its other calls.
typedef struct probe {
  const char *name;
  probe_log *log;
  tw_status open_status, send_status, flush_status;
  uint64_t lost;    ///< given up by a flush that fails
  const char *edit; ///< sets this field to true before it logs
  void (*inside)(struct probe *probe, tw_event *event); ///< called by send
  void *context;                                        ///< for `inside`
} probe;

static inline tw_status probe_open(void *self, tw_error *error) {
  probe *p = self;
  log_add(p->log, "open-%s", p->name);
  return p->open_status ? tw_fail(error, p->open_status, "%s does not open", p->name) : TW_OK;
}

static inline tw_status probe_send(void *self, tw_event *event, unsigned flags,
                                   tw_error *error) {
  probe *p = self;
  const char *json;
  size_t len;
  if (p->edit) assert_int_equal(tw_event_set_bool(event, p->edit, true, NULL), TW_OK);
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  log_add(p->log, "%s%s:%s", p->name, flags & TW_MORE ? "+" : "", json);
  if (p->inside) p->inside(p, event);
  return p->send_status ? tw_fail(error, p->send_status, "%s is full", p->name) : TW_OK;
}

static inline tw_status probe_flush(void *self, uint64_t *lost, tw_error *error) {
  probe *p = self;
  log_add(p->log, "flush-%s", p->name);
  *lost = p->lost;
  return p->flush_status ? tw_fail(error, p->flush_status, "%s lost some", p->name) : TW_OK;
}

static inline void probe_close(void *self) {
  log_add(((probe *)self)->log, "close-%s", ((probe *)self)->name);
}

static inline void probe_free(void *self) {
  log_add(((probe *)self)->log, "free-%s", ((probe *)self)->name);
}

static const tw_backend_ops probe_ops = {.open = probe_open,
                                         .send = probe_send,
                                         .flush = probe_flush,
                                         .close = probe_close,
                                         .free = probe_free};

static inline tw_backend *probe_backend(probe *p) {
  tw_backend *backend;
  assert_int_equal(tw_backend_new(&probe_ops, p, 0, &backend, NULL), TW_OK);
  return backend;
}

static inline void add_probe(tw_router *router, probe *p) {
  assert_int_equal(tw_router_add_backend(router, p->name, probe_backend(p), NULL), TW_OK);
}

/* -------------------------------------------------------------- processors */

/// A processor that sets a field to true, then returns its verdict.
typedef struct stage {
  const char *edit;
  tw_verdict verdict;
  const char *pieces[4]; ///< JSON objects to split into; "=" is the event itself
} stage;

static inline tw_verdict stage_process(void *self, tw_event *event, tw_split *split,
                                       tw_error *error) {
  const stage *s = self;
  if (s->edit) assert_int_equal(tw_event_set_bool(event, s->edit, true, NULL), TW_OK);
  for (size_t i = 0; i < 4 && s->pieces[i]; i++) {
    const char *json = s->pieces[i];
    tw_status status = *json == '=' ? tw_split_add(split, event)
                                    : tw_split_add_json(split, json, strlen(json), error);
    if (status != TW_OK) return TW_FAIL;
  }
  if (s->verdict == TW_FAIL) tw_fail(error, TW_ESCRIPT, "it broke");
  return s->verdict;
}

static const tw_processor_ops stage_ops = {stage_process, NULL};

static inline void add_stage(tw_router *router, const char *name, stage *s,
                             tw_on_error on_error) {
  tw_processor *processor;
  assert_int_equal(tw_processor_new(name, &stage_ops, s, on_error, &processor, NULL), TW_OK);
  assert_int_equal(tw_router_add_processor(router, processor, NULL), TW_OK);
}

/* --------------------------------------------------------------- observers */

static inline void note_failed(void *self, const tw_failure *f) {
  log_add(self, "failed[%s|%s|%s|%d|%s]", f->where, f->path, f->name ? f->name : "-",
          (int)f->events, f->error->message);
}

static inline void note_dead(void *self, const tw_failure *f) {
  const char *json;
  size_t len;
  assert_int_equal(tw_event_json(f->event, &json, &len), TW_OK);
  log_add(self, "dead[%s|%s]", f->path, json);
}

static inline void note_free(void *self) { log_add(self, "free-observer"); }

static const tw_observer note_observer = {note_failed, note_dead, note_free};

/* ----------------------------------------------------------------- routers */

static inline tw_router *new_router(void) {
  tw_router *router;
  assert_int_equal(tw_router_new(&router, NULL), TW_OK);
  return router;
}

static inline tw_status send_json(tw_router *router, const char *json) {
  tw_event *event;
  assert_int_equal(tw_event_parse(json, strlen(json), NULL, &event, NULL), TW_OK);
  tw_status status = tw_router_send(router, event, 0, NULL);
  tw_event_free(event);
  return status;
}

#endif
