/* chunk_bench.c: nanoseconds of an event on its way through a chunk: gathered, finished,
 * numbered and checksummed, read again, looked at; beside a copy of its text alone.
 *
 * Medians of several rounds, of CPU time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "delivery/chunk.h"

enum { ROUNDS = 15, CHUNKS = 200, EVENTS = 256 };

static tw_store stores[EVENTS];
static tw_event events[EVENTS];
static size_t sink; /* so that nothing is left out */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void need(bool condition) {
  if (condition) return;
  fprintf(stderr, "chunk_bench: a step failed\n");
  exit(1);
}

/* About 550 bytes each, read as the engine reads them. */
static void make_events(const char *id) {
  for (int i = 0; i < EVENTS; i++) {
    char json[700];
    int len = snprintf(
        json, sizeof json,
        "{%s\"name\":\"video.played.%d\",\"timestamp\":\"2026-11-24T05:00:%02d.123456Z\","
        "\"context\":{\"user_id\":%d,\"session\":\"%064d\",\"agent\":\"Mozilla/5.0 (X11; Linux "
        "x86_64)\"},\"data\":{\"code\":\"%0220d\",\"speed\":1.5,\"tags\":[\"a\",\"b\"],"
        "\"previous\":null}}",
        id, i % 15, i % 60, i, i, i);
    tw_store_reset(&stores[i]);
    need(!tw_store_parse_copy(&stores[i], json, (size_t)len, &events[i], NULL));
    need(!tw_event_fix_id(&events[i], NULL));
  }
}

static tw_buffer copies;
static tw_chunk_builder builder;

static void copy_texts(void) {
  copies.len = 0;
  for (int i = 0; i < EVENTS; i++) {
    const tw_node *text = tw_event_untouched(&events[i]);
    need(tw_buffer_append(&copies, text->text, text->len) && tw_buffer_byte(&copies, '\n'));
  }
  sink += copies.len;
}

static void gather(void) {
  for (int i = 0; i < EVENTS; i++) need(!tw_chunk_builder_add(&builder, &events[i], NULL));
}

static void gather_alone(void) {
  gather();
  builder.text.len = builder.items.len = builder.ids.len = 0;
  builder.count = builder.low = builder.high = 0;
}

static tw_chunk *finish(void) {
  tw_chunk *chunk;
  gather();
  need(!tw_chunk_finish(&builder, 0, 0, &chunk, NULL));
  return chunk;
}

static void gather_and_finish(void) { tw_chunk_unref(finish()); }

static tw_chunk *made;

static void number(void) {
  const char *data;
  size_t size;
  tw_chunk_number(made, 7);
  tw_chunk_bytes(made, &data, &size);
}

static void read_again(void) {
  const char *data;
  size_t size;
  tw_chunk *copy;
  tw_chunk_bytes(made, &data, &size);
  need(!tw_chunk_read(data, size, &copy, NULL));
  tw_chunk_unref(copy);
}

static tw_batch batch;

static void fill_batch(void) {
  tw_batch_clear(&batch);
  for (uint32_t i = 0; i < tw_chunk_count(made); i++) {
    tw_batch_item item;
    tw_chunk_item(made, i, &item);
    need(tw_batch_add(&batch, &item));
  }
}

static void find_lines(void) {
  const char *text;
  size_t len;
  for (size_t at = 0; at < batch.count;) at += tw_batch_lines(&batch, at, &text, &len);
  sink += len;
}

static void read_events(void) {
  tw_event *event;
  for (size_t i = 0; i < batch.count; i++) need(!tw_batch_event(&batch, i, &event, NULL));
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const char *what, void (*run)(void)) {
  double ns[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    double start = now_ns();
    for (int i = 0; i < CHUNKS; i++) run();
    ns[round] = (now_ns() - start) / CHUNKS / EVENTS;
  }
  qsort(ns, ROUNDS, sizeof *ns, ascending);
  printf("%-36s %7.1f ns\n", what, ns[ROUNDS / 2]);
}

static void measure_kind(const char *kind, const char *id) {
  make_events(id);
  printf("%s, %u bytes\n", kind, tw_event_untouched(&events[EVENTS - 1])->len);
  measure("  copy of the text", copy_texts);
  measure("  add", gather_alone);
  measure("  add and finish", gather_and_finish);
}

int main(void) {
  for (int i = 0; i < EVENTS; i++) tw_store_init(&stores[i], NULL);
  measure_kind("no id in the text", "");
  measure_kind("an id in the text", "\"id\":\"0190a1b2-c3d4-7890-abcd-0123456789ab\",");
  made = finish();
  tw_batch_init(&batch);
  printf("a chunk of %d events, %zu bytes\n", EVENTS, tw_chunk_size(made));
  measure("  number and checksum", number);
  measure("  read and check", read_again);
  measure("  fill a batch", fill_batch);
  measure("  find lines that lie together", find_lines);
  measure("  make events", read_events);
  return sink == 0;
}
