#include "delivery/outbox.h"

#include <pthread.h>
#include <stdatomic.h>

#include "support/chunks.h"
#include "support/oom.h"

/* Reads all that waits from `head` on, as "3 4 7 ". */
static const char *waiting(tw_outbox *outbox) {
  static char text[4096];
  size_t len = 0;
  uint64_t number = outbox->head, skip;
  tw_chunk *chunk;
  tw_batch_item item;
  text[0] = '\0';
  while (outbox->ops->read(outbox, number, &chunk, &skip, NULL) == TW_OK && chunk) {
    for (uint32_t i = tw_chunk_find(chunk, number); i < tw_chunk_count(chunk); i++) {
      tw_chunk_item(chunk, i, &item);
      len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", item.id_len, item.id);
    }
    number = tw_chunk_item_number(chunk, tw_chunk_count(chunk));
    tw_chunk_unref(chunk);
  }
  return text;
}

/* Reads one chunk, so that it cannot be shed any more. */
static void read_one(tw_outbox *outbox, uint64_t number) {
  tw_chunk *chunk;
  uint64_t skip;
  assert_int_equal(outbox->ops->read(outbox, number, &chunk, &skip, NULL), TW_OK);
  assert_non_null(chunk);
  tw_chunk_unref(chunk);
}

static void what_comes_is_read_in_its_order(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(0, TW_OVERLOAD_BLOCK);
  assert_string_equal(waiting(outbox), "");
  append(outbox, chunk_of(0, 3, 0));
  append(outbox, chunk_of(3, 2, 0));
  assert_int_equal(outbox->tail, 5);
  assert_int_equal(outbox->events, 5);
  assert_int_equal(outbox->bytes, 5 * strlen("{\"n\":0}\n"));
  assert_string_equal(waiting(outbox), "0 1 2 3 4 ");
  tw_outbox_free(outbox);
}

static void the_head_moves_through_the_middle_of_a_chunk(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(0, TW_OVERLOAD_BLOCK);
  append(outbox, chunk_of(0, 3, 0));
  append(outbox, chunk_of(3, 3, 0));
  assert_true(outbox->ops->advance(outbox, 4, NULL));
  assert_int_equal(outbox->head, 4);
  assert_int_equal(outbox->events, 2);
  assert_int_equal(outbox->bytes, 2 * strlen("{\"n\":0}\n"));
  assert_string_equal(waiting(outbox), "4 5 ");
  assert_true(outbox->ops->advance(outbox, 2, NULL)); /* lies behind */
  assert_int_equal(outbox->head, 4);
  assert_true(outbox->ops->advance(outbox, 6, NULL));
  assert_int_equal(outbox->events, 0);
  assert_int_equal(outbox->bytes, 0);
  tw_outbox_free(outbox);
}

/* ---------------------------------------------------------------- policies */

static void an_empty_outbox_takes_a_chunk_that_is_larger_than_its_bound(void **state) {
  (void)state;
  for (int overload = TW_OVERLOAD_BLOCK; overload <= TW_OVERLOAD_OLDEST; overload++) {
    tw_outbox *outbox = new_memory(2, (tw_overload)overload);
    assert_int_equal(append(outbox, chunk_of(0, 5, 0)), 0);
    assert_int_equal(outbox->events, 5);
    tw_outbox_free(outbox);
  }
}

static void newest_sheds_what_comes(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(4, TW_OVERLOAD_NEWEST);
  append(outbox, chunk_of(0, 3, 0));
  assert_int_equal(append(outbox, chunk_of(3, 2, 0)), 2);
  assert_int_equal(append(outbox, chunk_of(5, 1, 0)), 0);
  assert_string_equal(waiting(outbox), "0 1 2 5 ");
  assert_int_equal(outbox->shed, 2);
  tw_outbox_free(outbox);
}

static void newest_sheds_what_matters_less_in_place_of_what_comes(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(6, TW_OVERLOAD_NEWEST);
  append(outbox, mixed_chunk(0, "nlh"));
  append(outbox, chunk_of(3, 3, -1));
  assert_int_equal(append(outbox, chunk_of(6, 1, -1)), 1); /* matters as little */
  assert_int_equal(append(outbox, chunk_of(7, 1, 0)), 1);  /* number 1, the oldest low one */
  assert_int_equal(append(outbox, chunk_of(8, 2, 1)), 3);  /* a chunk goes as a whole */
  assert_string_equal(waiting(outbox), "0 2 7 8 9 ");
  assert_int_equal(outbox->shed, 5);
  tw_outbox_free(outbox);
}

static void newest_sheds_nothing_in_vain(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(4, TW_OVERLOAD_NEWEST);
  append(outbox, chunk_of(0, 1, -1));
  append(outbox, chunk_of(1, 3, 1));
  assert_int_equal(append(outbox, chunk_of(4, 2, 0)), 2); /* one low place is not enough */
  assert_string_equal(waiting(outbox), "0 1 2 3 ");
  tw_outbox_free(outbox);
}

static void newest_keeps_of_what_comes_that_which_matters_most(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(4, TW_OVERLOAD_NEWEST);
  append(outbox, chunk_of(0, 3, 0));
  assert_int_equal(append(outbox, mixed_chunk(3, "lnh")), 2);
  assert_string_equal(waiting(outbox), "0 1 2 5 ");
  assert_int_equal(append(outbox, chunk_of(6, 1, 0)), 1);
  tw_outbox_free(outbox);
}

static void oldest_sheds_the_oldest(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(6, TW_OVERLOAD_OLDEST);
  append(outbox, chunk_of(0, 2, 0));
  append(outbox, chunk_of(2, 3, 0));
  assert_int_equal(append(outbox, chunk_of(5, 2, 0)), 2);
  assert_string_equal(waiting(outbox), "2 3 4 5 6 ");
  assert_int_equal(outbox->head, 2);
  assert_int_equal(outbox->shed, 2);
  tw_outbox_free(outbox);
}

static void oldest_sheds_all_that_is_low_before_what_is_not(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(6, TW_OVERLOAD_OLDEST);
  append(outbox, mixed_chunk(0, "hn"));
  append(outbox, mixed_chunk(2, "nl"));
  append(outbox, mixed_chunk(4, "lh"));
  assert_int_equal(append(outbox, mixed_chunk(6, "n")), 1);    /* 3 */
  assert_int_equal(append(outbox, mixed_chunk(7, "n")), 1);    /* 4 */
  assert_int_equal(append(outbox, mixed_chunk(8, "l")), 1);    /* itself */
  assert_int_equal(append(outbox, mixed_chunk(9, "h")), 1);    /* 1 */
  assert_int_equal(append(outbox, mixed_chunk(10, "hhh")), 3); /* 2 6 7 */
  assert_string_equal(waiting(outbox), "0 5 9 10 11 12 ");
  assert_int_equal(outbox->shed, 7);
  tw_outbox_free(outbox);
}

static void bytes_are_a_bound_too(void **state) {
  (void)state;
  tw_outbox *outbox;
  const tw_outbox_bounds bounds = {.max_bytes = 4 * strlen("{\"n\":0}\n"),
                                   .overload = TW_OVERLOAD_OLDEST};
  assert_int_equal(tw_outbox_new_memory("db", &bounds, NULL, NULL, &outbox, NULL), TW_OK);
  for (uint64_t n = 0; n < 9; n++) append(outbox, chunk_of(n, 1, 0));
  assert_string_equal(waiting(outbox), "5 6 7 8 ");
  tw_outbox_free(outbox);
}

static void what_was_read_is_not_shed(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(4, TW_OVERLOAD_OLDEST);
  append(outbox, mixed_chunk(0, "ll"));
  read_one(outbox, 0);
  append(outbox, chunk_of(2, 2, 0));
  assert_int_equal(append(outbox, chunk_of(4, 1, 0)), 2);
  assert_int_equal(append(outbox, chunk_of(5, 2, 1)), 1);
  assert_string_equal(waiting(outbox), "0 1 5 6 ");
  tw_outbox_free(outbox);
}

/* Otherwise "drop_oldest" would shed the newest as soon as a batch is as large as the bound. */
static void one_unread_chunk_may_wait_behind_what_was_read(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(2, TW_OVERLOAD_OLDEST);
  append(outbox, chunk_of(0, 2, 0));
  read_one(outbox, 0);
  assert_int_equal(append(outbox, chunk_of(2, 2, 0)), 0);
  assert_int_equal(append(outbox, chunk_of(4, 2, 0)), 2);
  assert_string_equal(waiting(outbox), "0 1 4 5 ");
  tw_outbox_free(outbox);
}

static void the_head_passes_what_was_shed(void **state) {
  (void)state;
  tw_outbox *outbox = new_memory(2, TW_OVERLOAD_NEWEST);
  append(outbox, chunk_of(0, 1, 0));
  append(outbox, chunk_of(1, 1, -1));
  read_one(outbox, 0);
  append(outbox, chunk_of(2, 1, 0)); /* costs number 1 */
  assert_true(outbox->ops->advance(outbox, 1, NULL));
  assert_int_equal(outbox->head, 2);
  assert_true(outbox->ops->advance(outbox, 3, NULL));
  assert_int_equal(outbox->head, outbox->tail);
  assert_int_equal(outbox->events, 0);
  tw_outbox_free(outbox);
}

/* ----------------------------------------------------------------- waiting */

typedef struct appender {
  tw_outbox *outbox;
  tw_chunk *chunk;
  tw_status status;
  atomic_bool is_done;
} appender;

static void *append_one(void *self) {
  appender *a = self;
  uint64_t shed;
  a->status = tw_outbox_append(a->outbox, a->chunk, &shed, NULL);
  atomic_store(&a->is_done, true);
  return NULL;
}

static void block_waits_until_there_is_room(void **state) {
  (void)state;
  pthread_t thread;
  tw_outbox *outbox = new_memory(2, TW_OVERLOAD_BLOCK);
  append(outbox, chunk_of(0, 2, 0));
  appender a = {.outbox = outbox, .chunk = chunk_of(2, 2, 0)};
  pthread_create(&thread, NULL, append_one, &a);
  assert_true(outbox->ops->advance(outbox, 1, NULL));
  assert_false(atomic_load(&a.is_done));
  assert_true(outbox->ops->advance(outbox, 2, NULL));
  pthread_join(thread, NULL);
  assert_int_equal(a.status, TW_OK);
  assert_string_equal(waiting(outbox), "2 3 ");
  tw_outbox_free(outbox);
}

static void closing_ends_all_waiting(void **state) {
  (void)state;
  pthread_t thread;
  uint64_t shed;
  tw_error error;
  tw_outbox *outbox = new_memory(2, TW_OVERLOAD_BLOCK);
  append(outbox, chunk_of(0, 2, 0));
  appender a = {.outbox = outbox, .chunk = chunk_of(2, 2, 0)};
  pthread_create(&thread, NULL, append_one, &a);
  tw_outbox_close(outbox);
  pthread_join(thread, NULL);
  assert_int_equal(a.status, TW_ECLOSED);
  assert_int_equal(tw_outbox_append(outbox, chunk_of(2, 1, 0), &shed, &error), TW_ECLOSED);
  assert_string_equal(error.message, "db: the outbox is closed");
  assert_string_equal(waiting(outbox), "0 1 ");
  tw_outbox_free(outbox);
}

/* ------------------------------------------------------------ dead letters */

static void count_letter(void *self, const char *path, const char *json, size_t len) {
  assert_string_equal(path, "db");
  assert_memory_equal(json, "{\"n\":", 5);
  assert_int_equal(json[len - 1], '}');
  ++*(int *)self;
}

static void dead_letters_are_handed_over_and_counted(void **state) {
  (void)state;
  int letters = 0;
  tw_outbox *outbox;
  const tw_outbox_bounds bounds = {0};
  assert_int_equal(tw_outbox_new_memory("db", &bounds, count_letter, &letters, &outbox, NULL),
                   TW_OK);
  append(outbox, chunk_of(0, 4, 0));
  assert_true(outbox->ops->advance(outbox, 3, chunk_of(100, 2, 0)));
  assert_int_equal(letters, 2);
  assert_int_equal(outbox->dead, 2);
  assert_int_equal(outbox->events, 1);
  tw_outbox_free(outbox);
}

/* ----------------------------------------------------------------- threads */

enum { APPENDERS = 3, EACH = 3000 };

typedef struct crowd {
  tw_outbox *outbox;
  uint64_t first, shed;
} crowd;

static void *append_many(void *self) {
  crowd *c = self;
  for (uint64_t n = 0; n < EACH;) {
    uint64_t shed;
    char priorities[8] = {0};
    size_t count = n % 5 + 1 < EACH - n ? n % 5 + 1 : EACH - n;
    for (size_t i = 0; i < count; i++) priorities[i] = "lnh"[(n + i) * 7 % 3];
    tw_chunk *chunk = mixed_chunk(c->first + n, priorities);
    if (tw_outbox_append(c->outbox, chunk, &shed, NULL) == TW_OK) c->shed += shed;
    n += count;
  }
  return NULL;
}

/* A reader as a delivery is one: reads, then moves the head. @return events read */
static uint64_t drain(tw_outbox *outbox, atomic_bool *is_over) {
  uint64_t number = 0, count = 0, skip;
  for (;;) {
    tw_chunk *chunk;
    bool was_over = atomic_load(is_over);
    outbox->ops->read(outbox, number, &chunk, &skip, NULL);
    if (!chunk && was_over) return count;
    if (!chunk) continue;
    count += tw_chunk_count(chunk) - tw_chunk_find(chunk, number);
    number = tw_chunk_item_number(chunk, tw_chunk_count(chunk));
    tw_chunk_unref(chunk);
    outbox->ops->advance(outbox, number, NULL);
  }
}

typedef struct draining {
  tw_outbox *outbox;
  atomic_bool is_over;
  uint64_t count;
} draining;

static void *drain_all(void *self) {
  draining *d = self;
  d->count = drain(d->outbox, &d->is_over);
  return NULL;
}

static void every_event_is_delivered_or_shed_exactly_once(void **state) {
  (void)state;
  for (int overload = TW_OVERLOAD_BLOCK; overload <= TW_OVERLOAD_OLDEST; overload++) {
    tw_outbox *outbox = new_memory(20, (tw_overload)overload);
    crowd crowds[APPENDERS];
    pthread_t threads[APPENDERS], reader;
    draining reading = {.outbox = outbox};
    pthread_create(&reader, NULL, drain_all, &reading);
    for (int i = 0; i < APPENDERS; i++) {
      crowds[i] = (crowd){.outbox = outbox, .first = (uint64_t)i * EACH};
      pthread_create(&threads[i], NULL, append_many, &crowds[i]);
    }
    uint64_t shed = 0;
    for (int i = 0; i < APPENDERS; i++) {
      pthread_join(threads[i], NULL);
      shed += crowds[i].shed;
    }
    atomic_store(&reading.is_over, true);
    pthread_join(reader, NULL);
    assert_int_equal(reading.count + shed, APPENDERS * EACH);
    assert_int_equal(outbox->shed, shed);
    assert_int_equal(outbox->events, 0);
    assert_int_equal(outbox->bytes, 0);
    assert_int_equal(outbox->head, outbox->tail);
    if (overload == TW_OVERLOAD_BLOCK) assert_int_equal(shed, 0);
    tw_outbox_free(outbox);
  }
}

/* ------------------------------------------------------------------ memory */

static tw_status make_one(void *self) {
  tw_outbox *outbox;
  const tw_outbox_bounds bounds = {0};
  (void)self;
  tw_status status = tw_outbox_new_memory("db", &bounds, NULL, NULL, &outbox, NULL);
  tw_outbox_free(outbox);
  return status;
}

static void making_one_survives_every_failed_allocation(void **state) {
  (void)state;
  tw_oom_fail_each(make_one, NULL);
}

static void appending_without_memory_keeps_nothing(void **state) {
  (void)state;
  uint64_t shed;
  tw_outbox *outbox = new_memory(0, TW_OVERLOAD_BLOCK);
  tw_chunk *chunk = chunk_of(0, 2, 0);
  tw_oom_fail_at(0);
  assert_int_equal(tw_outbox_append(outbox, chunk, &shed, NULL), TW_ENOMEM);
  assert_true(tw_oom_off());
  assert_int_equal(outbox->tail, 0);
  append(outbox, chunk_of(0, 2, 0));
  assert_string_equal(waiting(outbox), "0 1 ");
  tw_outbox_free(outbox);
}

/* A chunk that cannot be written anew goes as a whole, and is counted so. */
static void shedding_without_memory_stays_exact(void **state) {
  (void)state;
  uint64_t shed;
  tw_outbox *outbox = new_memory(4, TW_OVERLOAD_OLDEST);
  append(outbox, mixed_chunk(0, "lhhh"));
  tw_chunk *chunk = mixed_chunk(4, "n");
  tw_oom_fail_at(1);
  assert_int_equal(tw_outbox_append(outbox, chunk, &shed, NULL), TW_OK);
  assert_true(tw_oom_off());
  assert_int_equal(shed, 4);
  assert_string_equal(waiting(outbox), "4 ");
  tw_outbox_free(outbox);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_comes_is_read_in_its_order),
      cmocka_unit_test(the_head_moves_through_the_middle_of_a_chunk),
      cmocka_unit_test(an_empty_outbox_takes_a_chunk_that_is_larger_than_its_bound),
      cmocka_unit_test(newest_sheds_what_comes),
      cmocka_unit_test(newest_sheds_what_matters_less_in_place_of_what_comes),
      cmocka_unit_test(newest_sheds_nothing_in_vain),
      cmocka_unit_test(newest_keeps_of_what_comes_that_which_matters_most),
      cmocka_unit_test(oldest_sheds_the_oldest),
      cmocka_unit_test(oldest_sheds_all_that_is_low_before_what_is_not),
      cmocka_unit_test(bytes_are_a_bound_too),
      cmocka_unit_test(what_was_read_is_not_shed),
      cmocka_unit_test(one_unread_chunk_may_wait_behind_what_was_read),
      cmocka_unit_test(the_head_passes_what_was_shed),
      cmocka_unit_test(block_waits_until_there_is_room),
      cmocka_unit_test(closing_ends_all_waiting),
      cmocka_unit_test(dead_letters_are_handed_over_and_counted),
      cmocka_unit_test(every_event_is_delivered_or_shed_exactly_once),
      cmocka_unit_test(making_one_survives_every_failed_allocation),
      cmocka_unit_test(appending_without_memory_keeps_nothing),
      cmocka_unit_test(shedding_without_memory_stays_exact),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
