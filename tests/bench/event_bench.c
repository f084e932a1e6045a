/* event_bench.c: nanoseconds for the way of one event, by size and by part; then by number
 * of branches.
 *
 * The way: parse, find four fields, remove one and set two, render, reset. Columns are the
 * parts, each measured by leaving it out: parse alone, with finds, with edits, with render.
 * Medians of several rounds, of CPU time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "event/event.h"

enum { ROUNDS = 9, ROUND_BYTES = 16 << 20, PARTS = 4, MAX_BRANCHES = 32 };

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void need(bool condition) {
  if (condition) return;
  fprintf(stderr, "event_bench: a step failed\n");
  exit(1);
}

/* An event of about `size` bytes: its data grows by objects of 60 bytes. */
static void make_event(tw_buffer *out, size_t size) {
  out->len = 0;
  tw_buffer_printf(
      out,
      "{\"name\":\"edx.video.played\",\"timestamp\":\"2026-11-24T05:00:00.123456Z\","
      "\"context\":{\"email\":\"ann@example.com\",\"user_id\":42},\"data\":{\"n\":1");
  for (int i = 0; out->len + 60 < size; i++)
    tw_buffer_printf(out, ",\"item_%05d\":{\"id\":%d,\"label\":\"a label\",\"price\":12.50}", i,
                     i);
  tw_buffer_printf(out, "}}");
  need(tw_buffer_pad(out, TW_PADDING));
}

static tw_ref find(const tw_event *event, tw_ref at, const char *key) {
  tw_ref value;
  need(tw_event_find(event, at, key, strlen(key), &value));
  return value;
}

static void find_four(const tw_event *event) {
  find(event, event->root, "name");
  tw_ref context = find(event, event->root, "context");
  find(event, context, "user_id");
  find(event, context, "email");
}

static void edit_three(tw_event *event) {
  tw_ref context = find(event, event->root, "context"), value;
  need(tw_event_delete(event, context, "email", 5, NULL) == TW_OK);
  need(tw_store_string(event->store, "h1", 2, &value, NULL) == TW_OK);
  need(tw_event_put(event, context, "host", 4, value, NULL) == TW_OK);
  need(tw_store_string(event->store, "video", 5, &value, NULL) == TW_OK);
  need(tw_event_put(event, event->root, "route", 5, value, NULL) == TW_OK);
}

static void one_event(tw_store *store, const tw_buffer *text, int parts, tw_buffer *out) {
  tw_event event;
  out->len = 0;
  need(tw_store_parse(store, text->data, text->len, &event, NULL) == TW_OK);
  if (parts > 1) find_four(&event);
  if (parts > 2) edit_three(&event);
  if (parts > 3) need(tw_event_render(&event, event.root, out));
  tw_event_end(&event);
  tw_store_reset(store);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, ROUNDS, sizeof *values, compare);
  return values[ROUNDS / 2];
}

static void by_size(tw_store *store, tw_buffer *text, tw_buffer *out) {
  static const size_t sizes[] = {200, 550, 1024, 4096, 16384, 65536};
  printf("%8s %10s %10s %10s %10s %10s\n", "bytes", "parse", "+find 4", "+edit 3", "+render",
         "ns/byte");
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    double ns[PARTS][ROUNDS];
    make_event(text, sizes[s]);
    int events = (int)(ROUND_BYTES / text->len);
    for (int round = 0; round < ROUNDS; round++)
      for (int part = 0; part < PARTS; part++) {
        double start = now_ns();
        for (int i = 0; i < events; i++) one_event(store, text, part + 1, out);
        ns[part][round] = (now_ns() - start) / events;
      }
    double all[PARTS];
    for (int part = 0; part < PARTS; part++) all[part] = median(ns[part]);
    printf("%8zu %10.0f %10.0f %10.0f %10.0f %10.3f\n", text->len, all[0], all[1] - all[0],
           all[2] - all[1], all[3] - all[2], all[3] / (double)text->len);
  }
}

/* An edited event goes to branches; each reads a field, and edits when told to. */
static void branch_out(tw_store *store, const tw_buffer *text, int branches, bool edit) {
  tw_event event, branch[MAX_BRANCHES];
  tw_ref value;
  need(tw_store_parse(store, text->data, text->len, &event, NULL) == TW_OK);
  edit_three(&event);
  for (int i = 0; i < branches; i++) {
    branch[i] = tw_event_fork(&event);
    find(&branch[i], branch[i].root, "name");
    if (!edit) continue;
    need(tw_store_word(store, TW_KIND_TRUE, &value, NULL) == TW_OK);
    need(tw_event_put(&branch[i], branch[i].root, "b", 1, value, NULL) == TW_OK);
  }
  for (int i = 0; i < branches; i++) tw_event_end(&branch[i]);
  tw_event_end(&event);
  tw_store_reset(store);
}

static void by_branches(tw_store *store, tw_buffer *text) {
  enum { EVENTS = 20000 };
  make_event(text, 550);
  printf("\n%8s %14s %14s\n", "branches", "reading ns", "editing ns");
  for (int branches = 1; branches <= MAX_BRANCHES; branches *= 2) {
    double ns[2][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
      for (int edit = 0; edit < 2; edit++) {
        double start = now_ns();
        for (int i = 0; i < EVENTS; i++) branch_out(store, text, branches, edit);
        ns[edit][round] = (now_ns() - start) / EVENTS;
      }
    printf("%8d %14.0f %14.0f\n", branches, median(ns[0]), median(ns[1]));
  }
}

int main(void) {
  tw_store store;
  tw_buffer text = {0}, out = {0};
  tw_store_init(&store, NULL);
  by_size(&store, &text, &out);
  by_branches(&store, &text);
  tw_store_fini(&store);
  tw_buffer_fini(&text);
  tw_buffer_fini(&out);
  return 0;
}
