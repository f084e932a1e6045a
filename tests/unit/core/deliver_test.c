/// Delivery of a batch to a backend: by its `deliver`, or by send and flush.
#include "support/oom.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/kind.h"
#include "probe.h"

/* A batch of `count` events {"n":0}, {"n":1} … with the ids e0, e1 … */
typedef struct lines {
  char text[16][16], id[16][8];
  tw_batch batch;
} lines;

static lines *make_lines(size_t count) {
  lines *l = calloc(1, sizeof *l);
  tw_batch_init(&l->batch);
  for (size_t i = 0; i < count; i++) {
    int len = snprintf(l->text[i], sizeof l->text[i], "{\"n\":%zu}\n", i);
    int id_len = snprintf(l->id[i], sizeof l->id[i], "e%zu", i);
    tw_batch_item item = {l->text[i], (size_t)len - 1, l->id[i], (uint16_t)id_len, 0};
    assert_true(tw_batch_add(&l->batch, &item));
  }
  return l;
}

static void free_lines(lines *l) {
  tw_batch_fini(&l->batch);
  free(l);
}

static tw_backend *open_backend(const tw_backend_ops *ops, void *self, unsigned flags) {
  tw_backend *backend;
  assert_int_equal(tw_backend_new(ops, self, flags, &backend, NULL), TW_OK);
  assert_int_equal(tw_backend_use(backend, NULL), TW_OK);
  return backend;
}

static void close_backend(tw_backend *backend) {
  uint64_t lost;
  tw_backend_unuse(backend, &lost, NULL);
  tw_backend_unref(backend);
}

static void assert_stats(const tw_backend *backend, uint64_t sent, uint64_t failed) {
  tw_backend_stats stats;
  tw_backend_get_stats(backend, &stats);
  assert_int_equal(stats.sent, sent);
  assert_int_equal(stats.failed, failed);
}

/* ----------------------------------------------------- by what the backend says */

/* What a `deliver` answers, and what it was given. */
typedef struct answer {
  tw_status status;
  tw_delivered done;
  const char *message;
  size_t given;
  tw_backend *again; /* delivers to this one from inside */
} answer;

static tw_status say(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  answer *a = self;
  a->given = tw_batch_count(batch);
  assert_int_equal(done->count, 0);
  *done = a->done;
  if (a->again) {
    tw_delivered inner;
    assert_int_equal(tw_backend_deliver(a->again, batch, &inner, NULL), TW_EINVAL);
    assert_int_equal(inner.count, 0);
  }
  return a->message ? tw_fail(error, a->status, "%s", a->message) : a->status;
}

static tw_status never_send(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags;
  return tw_fail(error, TW_EIO, "nobody asked for this");
}

static const tw_backend_ops say_ops = {.send = never_send, .deliver = say};

static void what_deliver_says_is_made_sense_of_and_counted(void **state) {
  (void)state;
  const struct {
    tw_status status;
    tw_delivered says;
    tw_status told; /* what comes out */
    tw_delivered done;
    uint64_t sent, failed;
  } cases[] = {
      {TW_OK, {0, false, 0}, TW_OK, {5, false, 0}, 5, 0},
      {TW_OK, {99, true, -7}, TW_OK, {5, false, 0}, 5, 0},
      {TW_EIO, {0, false, 0}, TW_EIO, {0, false, 0}, 0, 0},
      {TW_EIO, {3, false, 250}, TW_EIO, {3, false, 250}, 3, 0},
      {TW_EIO, {3, true, -1}, TW_EIO, {3, true, 0}, 3, 0},
      {TW_EIO, {4, false, 0}, TW_EIO, {4, true, 0}, 4, 0},
      {TW_EREFUSED, {2, true, 0}, TW_EREFUSED, {2, true, 0}, 2, 1},
      {TW_EREFUSED, {2, false, 0}, TW_EREFUSED, {2, false, 0}, 2, 0},
      {TW_EREFUSED, {4, false, 0}, TW_EREFUSED, {4, true, 0}, 4, 1},
      {TW_EREFUSED, {5, true, 0}, TW_OK, {5, false, 0}, 5, 0},
      {TW_EREFUSED, {6, true, 0}, TW_EREFUSED, {0, false, 0}, 0, 0},
      {TW_EIO, {SIZE_MAX, true, -9}, TW_EIO, {0, false, 0}, 0, 0},
      {TW_EDISABLED, {1, false, 9}, TW_EDISABLED, {1, false, 9}, 1, 0},
      {(tw_status)77, {1, false, 0}, (tw_status)77, {1, false, 0}, 1, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lines *l = make_lines(5);
    answer a = {.status = cases[i].status, .done = cases[i].says};
    tw_backend *backend = open_backend(&say_ops, &a, i % 2 ? TW_SERIAL : 0);
    tw_delivered done = {7, true, 7};
    tw_error error = {.message = ""};
    assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, &error), cases[i].told);
    assert_int_equal(a.given, 5);
    assert_int_equal(done.count, cases[i].done.count);
    assert_int_equal(done.is_exact, cases[i].done.is_exact);
    assert_int_equal(done.retry_after_ms, cases[i].done.retry_after_ms);
    if (cases[i].told)
      assert_string_equal(error.message, "delivering failed and gave no reason");
    if (cases[i].told) assert_int_equal(error.code, cases[i].told);
    assert_stats(backend, cases[i].sent, cases[i].failed);
    close_backend(backend);
    free_lines(l);
  }
}

static void without_an_error_to_write_to_nothing_breaks(void **state) {
  (void)state;
  lines *l = make_lines(2);
  answer a = {.status = TW_EIO, .message = "no\nway"};
  tw_backend *backend = open_backend(&say_ops, &a, 0);
  tw_delivered done;
  tw_error error;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_EIO);
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, &error), TW_EIO);
  assert_string_equal(error.message, "no way");
  close_backend(backend);
  free_lines(l);
}

static void a_backend_that_is_closed_takes_no_batch(void **state) {
  (void)state;
  lines *l = make_lines(2);
  answer a = {0};
  tw_backend *backend;
  tw_delivered done = {9, true, 9};
  assert_int_equal(tw_backend_new(&say_ops, &a, 0, &backend, NULL), TW_OK);
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_ECLOSED);
  assert_int_equal(done.count, 0);
  assert_int_equal(a.given, 0);
  assert_stats(backend, 0, 0);
  tw_backend_unref(backend);
  free_lines(l);
}

static void a_batch_without_events_is_delivered_without_a_call(void **state) {
  (void)state;
  lines *l = make_lines(0);
  answer a = {.status = TW_EIO};
  tw_backend *backend = open_backend(&say_ops, &a, 0);
  tw_delivered done;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_OK);
  assert_stats(backend, 0, 0);
  close_backend(backend);
  free_lines(l);
}

static void a_serial_backend_that_delivers_to_itself_fails_instead_of_waiting(void **state) {
  (void)state;
  lines *l = make_lines(2);
  answer a = {0};
  tw_backend *backend = open_backend(&say_ops, &a, TW_SERIAL);
  tw_delivered done;
  a.again = backend;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_OK);
  assert_stats(backend, 2, 0);
  close_backend(backend);
  free_lines(l);
}

/* ------------------------------------------------------------- by send and flush */

/* Takes events until one that it does not want. */
typedef struct taker {
  probe_log log;
  size_t refuse_at; /* the n-th send, from 1; 0: none */
  tw_status refusal, flush_status;
  uint64_t lost;
  size_t sends;
} taker;

static tw_status take(void *self, tw_event *event, unsigned flags, tw_error *error) {
  taker *t = self;
  const char *json, *id;
  size_t len, id_len;
  assert_int_equal(tw_event_json(event, &json, &len), TW_OK);
  assert_int_equal(tw_event_id(event, &id, &id_len), TW_OK);
  log_add(&t->log, "%.*s%s", (int)id_len, id, flags & TW_MORE ? "+" : "");
  if (++t->sends != t->refuse_at) return TW_OK;
  return tw_fail(error, t->refusal, "not %s", json);
}

static tw_status flush(void *self, uint64_t *lost, tw_error *error) {
  taker *t = self;
  log_add(&t->log, "flush");
  *lost = t->lost;
  return t->flush_status ? tw_fail(error, t->flush_status, "flush broke") : TW_OK;
}

static const tw_backend_ops take_ops = {.send = take, .flush = flush};

static void events_are_sent_in_order_and_flushed(void **state) {
  (void)state;
  lines *l = make_lines(3);
  taker t = {.sends = 0};
  tw_backend *backend = open_backend(&take_ops, &t, TW_SERIAL);
  tw_delivered done;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_OK);
  assert_int_equal(done.count, 3);
  assert_log(&t.log, "e0+ e1+ e2 flush ");
  assert_stats(backend, 3, 0);
  close_backend(backend);
  free_lines(l);
}

/* Each row: what goes wrong, and how far the batch has come then. */
static void what_was_sent_before_a_failure_counts_when_the_flush_succeeds(void **state) {
  (void)state;
  const struct {
    size_t refuse_at;
    tw_status refusal, flush_status;
    uint64_t lost;
    tw_status told;
    size_t count;
    bool is_exact;
    uint64_t sent, failed;
    const char *message;
  } cases[] = {
      {3, TW_EIO, TW_OK, 0, TW_EIO, 2, true, 2, 0, "not {\"n\":2}"},
      {1, TW_EREFUSED, TW_OK, 0, TW_EREFUSED, 0, true, 0, 1, "not {\"n\":0}"},
      {4, TW_EREFUSED, TW_OK, 0, TW_EREFUSED, 3, true, 3, 1, "not {\"n\":3}"},
      {2, TW_EDISABLED, TW_OK, 0, TW_EDISABLED, 1, true, 1, 0, "not {\"n\":1}"},
      {0, TW_OK, TW_EIO, 4, TW_EIO, 0, false, 0, 0, "flush broke"},
      {0, TW_OK, TW_EIO, 0, TW_EIO, 0, false, 0, 0, "flush broke"},
      {3, TW_EREFUSED, TW_EIO, 2, TW_EIO, 0, false, 0, 0, "flush broke"},
      {0, TW_OK, TW_EREFUSED, 4, TW_EREFUSED, 0, false, 0, 0, "flush broke"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lines *l = make_lines(4);
    taker t = {.refuse_at = cases[i].refuse_at,
               .refusal = cases[i].refusal,
               .flush_status = cases[i].flush_status,
               .lost = cases[i].lost};
    tw_backend *backend = open_backend(&take_ops, &t, 0);
    tw_delivered done;
    tw_error error = {.message = ""};
    assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, &error), cases[i].told);
    assert_int_equal(done.count, cases[i].count);
    assert_int_equal(done.is_exact, cases[i].is_exact);
    assert_string_equal(error.message, cases[i].message);
    assert_stats(backend, cases[i].sent, cases[i].failed);
    t.lost = 0, t.flush_status = TW_OK;
    close_backend(backend);
    free_lines(l);
  }
}

static void events_of_others_that_a_flush_gives_up_are_counted(void **state) {
  (void)state;
  lines *l = make_lines(2);
  taker t = {.flush_status = TW_EIO, .lost = 5};
  tw_backend *backend = open_backend(&take_ops, &t, 0);
  tw_event *event;
  tw_delivered done;
  assert_int_equal(tw_event_parse("{}", 2, NULL, &event, NULL), TW_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(tw_backend_send(backend, event, TW_MORE, NULL), TW_OK);
  tw_event_free(event);
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_EIO);
  assert_stats(backend, 0, 3);
  t.lost = 0, t.flush_status = TW_OK;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_OK);
  assert_stats(backend, 2, 3);
  close_backend(backend);
  free_lines(l);
}

static void a_text_that_is_no_event_any_more_is_refused_and_no_other(void **state) {
  (void)state;
  lines *l = make_lines(3);
  taker t = {.sends = 0};
  tw_backend *backend = open_backend(&take_ops, &t, 0);
  tw_delivered done;
  l->text[1][0] = 'x';
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_EREFUSED);
  assert_int_equal(done.count, 1);
  assert_true(done.is_exact);
  assert_log(&t.log, "e0+ flush ");
  close_backend(backend);
  free_lines(l);
}

/* ------------------------------------------------- backends that deliver later */

typedef struct later {
  int timeout_ms; /* that it was given */
  uint64_t remaining;
  tw_status status;
} later;

static tw_status take_any(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static tw_status flush_within(void *self, int timeout_ms, uint64_t *remaining,
                              tw_error *error) {
  later *l = self;
  (void)error;
  l->timeout_ms = timeout_ms;
  *remaining = l->remaining;
  return l->status;
}

static const tw_backend_ops later_ops = {.send = take_any, .flush_within = flush_within};

static void a_backend_that_delivers_later_is_waited_for(void **state) {
  (void)state;
  lines *l = make_lines(3);
  later wait = {0};
  tw_backend *backend = open_backend(&later_ops, &wait, 0);
  tw_delivered done;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_OK);
  assert_int_equal(wait.timeout_ms, -1);
  l->batch.deadline_ns = tw_clock_monotonic_ns() + 60000000000;
  wait.remaining = 1;
  assert_int_equal(tw_backend_deliver(backend, &l->batch, &done, NULL), TW_ELIMIT);
  assert_int_equal(done.count, 0);
  assert_in_range(wait.timeout_ms, 30000, 60000);
  assert_stats(backend, 3, 0);
  close_backend(backend);
  free_lines(l);
}

/* ------------------------------------------------------------------ serial ones */

typedef struct crowd {
  tw_backend *backend;
  atomic_int inside;
} crowd;

static tw_status alone(void *self, tw_batch *batch, tw_delivered *done, tw_error *error) {
  (void)batch, (void)done, (void)error;
  crowd *c = self;
  assert_int_equal(atomic_fetch_add(&c->inside, 1), 0);
  for (int i = 0; i < 20; i++) sched_yield();
  atomic_fetch_sub(&c->inside, 1);
  return TW_OK;
}

static void *deliver_many(void *self) {
  crowd *c = self;
  lines *l = make_lines(4);
  tw_delivered done;
  for (int i = 0; i < 200; i++)
    assert_int_equal(tw_backend_deliver(c->backend, &l->batch, &done, NULL), TW_OK);
  free_lines(l);
  return NULL;
}

static void calls_of_a_serial_backend_are_made_one_at_a_time(void **state) {
  (void)state;
  static const tw_backend_ops ops = {.send = never_send, .deliver = alone};
  crowd c = {0};
  pthread_t threads[4];
  c.backend = open_backend(&ops, &c, TW_SERIAL);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, deliver_many, &c);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  assert_stats(c.backend, 4 * 200 * 4, 0);
  close_backend(c.backend);
}

/* ------------------------------------------------------------------------ fronts */

static void note_freed(void *self) { ++*(int *)self; }

static void a_front_shows_what_is_behind_it(void **state) {
  (void)state;
  const tw_backend_ops ops = {.send = take_any, .free = note_freed};
  int freed = 0;
  tw_backend *behind, *front, *before;
  struct stat st;
  assert_int_equal(stat("/proc/self/exe", &st), 0);
  lines *l = make_lines(3);
  answer a = {0};
  assert_int_equal(tw_backend_new(&say_ops, &a, 0, &behind, NULL), TW_OK);
  assert_int_equal(tw_backend_new_front(&ops, &freed, behind, &front, NULL), TW_OK);
  assert_int_equal(tw_backend_new_front(&ops, &freed, front, &before, NULL), TW_OK);
  assert_string_equal(tw_backend_kind_name(before), "custom");
  assert_false(tw_backend_writes_into(before, &st));
  tw_delivered done;
  assert_int_equal(tw_backend_use(behind, NULL), TW_OK);
  assert_int_equal(tw_backend_deliver(behind, &l->batch, &done, NULL), TW_OK);
  assert_int_equal(tw_backend_use(before, NULL), TW_OK);
  tw_event *event;
  assert_int_equal(tw_batch_event(&l->batch, 0, &event, NULL), TW_OK);
  assert_int_equal(tw_backend_send(before, event, 0, NULL), TW_OK);
  assert_stats(before, 3, 0);
  close_backend(behind); /* the fronts hold references */
  assert_stats(before, 3, 0);
  tw_backend_unref(front);
  assert_int_equal(freed, 0);
  close_backend(before);
  assert_int_equal(freed, 2);
  free_lines(l);
}

static tw_status new_front(void *self) {
  const tw_backend_ops ops = {.send = take_any, .free = note_freed};
  int freed = 0;
  tw_backend *front;
  tw_status status = tw_backend_new_front(&ops, &freed, self, &front, NULL);
  if (status == TW_OK) tw_backend_unref(front);
  assert_int_equal(freed, 1);
  return status;
}

static void a_front_without_memory_frees_its_self_and_holds_nothing(void **state) {
  (void)state;
  answer a = {0};
  tw_backend *behind;
  assert_int_equal(tw_backend_new(&say_ops, &a, 0, &behind, NULL), TW_OK);
  assert_int_equal(tw_oom_fail_each(new_front, behind), 1);
  tw_backend_unref(behind);
}

static void a_script_s_backend_is_known_as_such(void **state) {
  (void)state;
  answer a = {0};
  tw_backend *scripted, *plain, *front;
  assert_int_equal(tw_backend_new(&say_ops, &a, TW_SCRIPTED, &scripted, NULL), TW_OK);
  assert_int_equal(tw_backend_new(&say_ops, &a, TW_SERIAL, &plain, NULL), TW_OK);
  assert_int_equal(tw_backend_new_front(&say_ops, &a, scripted, &front, NULL), TW_OK);
  assert_true(tw_backend_is_scripted(scripted));
  assert_false(tw_backend_is_scripted(plain));
  assert_false(tw_backend_is_scripted(front));
  tw_backend_unref(front);
  tw_backend_unref(plain);
  tw_backend_unref(scripted);
}

/* ------------------------------------------------------------------------ memory */

static tw_status deliver_once(void *self) {
  lines *l = make_lines(3);
  tw_delivered done;
  tw_status status = tw_backend_deliver(self, &l->batch, &done, NULL);
  free_lines(l);
  return status;
}

/* The lines are made before memory runs out; what is left is the events' own. */
static void without_memory_for_an_event_those_before_it_are_delivered(void **state) {
  (void)state;
  taker t = {.sends = 0};
  tw_backend *backend = open_backend(&take_ops, &t, 0);
  for (size_t n = 0, failed = 1; failed; n++) {
    lines *l = make_lines(3);
    tw_delivered done;
    tw_oom_fail_at(n);
    tw_status status = tw_backend_deliver(backend, &l->batch, &done, NULL);
    failed = tw_oom_off();
    assert_int_equal(status, failed ? TW_ENOMEM : TW_OK);
    assert_int_equal(done.count, failed ? 0 : 3);
    assert_false(done.is_exact);
    free_lines(l);
  }
  assert_int_equal(deliver_once(backend), TW_OK);
  close_backend(backend);
}

#define TEST(name) cmocka_unit_test_teardown(name, tw_oom_leaves_nothing)

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      TEST(what_deliver_says_is_made_sense_of_and_counted),
      TEST(without_an_error_to_write_to_nothing_breaks),
      TEST(a_backend_that_is_closed_takes_no_batch),
      TEST(a_batch_without_events_is_delivered_without_a_call),
      TEST(a_serial_backend_that_delivers_to_itself_fails_instead_of_waiting),
      TEST(events_are_sent_in_order_and_flushed),
      TEST(what_was_sent_before_a_failure_counts_when_the_flush_succeeds),
      TEST(events_of_others_that_a_flush_gives_up_are_counted),
      TEST(a_text_that_is_no_event_any_more_is_refused_and_no_other),
      TEST(a_backend_that_delivers_later_is_waited_for),
      TEST(calls_of_a_serial_backend_are_made_one_at_a_time),
      TEST(a_front_shows_what_is_behind_it),
      TEST(a_front_without_memory_frees_its_self_and_holds_nothing),
      TEST(a_script_s_backend_is_known_as_such),
      TEST(without_memory_for_an_event_those_before_it_are_delivered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
