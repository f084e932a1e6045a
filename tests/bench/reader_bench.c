/* reader_bench.c: nanoseconds for an event, by size and by implementation of the reader.
 *
 * The events are generated, the same in each run, and every one is different, so that the
 * processor cannot learn them by heart. The references run in the same process between the
 * measured ones: the time to copy the text and find its end (what no reader can beat), and
 * lua-cjson's decode. Figures are medians of several rounds, of CPU time. */
#include <lauxlib.h>
#include <lua-cjson.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "event/reader.h"

enum { EVENTS = 2000, ROUNDS = 9, BYTES = 1 << 20, BYTES_A_ROUND = 8 << 20 };

typedef struct corpus {
  tw_buffer text[EVENTS]; /* each with its padding */
  int count;              /* so many that all together have about BYTES */
  size_t bytes;
  tw_node *nodes;
  char *copy;
  lua_State *L;
} corpus;

/* -------------------------------------------------------------- generating */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t bound) {
  random_state = random_state * 1664525 + 1013904223;
  return (uint32_t)((uint64_t)(random_state >> 8) * bound >> 24);
}

static void put_word(tw_buffer *out, uint32_t least, uint32_t most) {
  static const char letters[] = "etaoin shrdlu.-_/:0123456789ETAOIN";
  for (uint32_t n = least + random_below(most - least + 1); n; n--)
    tw_buffer_byte(out, letters[random_below(sizeof letters - 1)]);
}

/* The type of a member depends on the event's name and the member's number, its value is
   random: so it is in the events of real programs. */
static void put_member(tw_buffer *out, uint32_t name, uint32_t number, const char *blank) {
  static const char *const keys[] = {"user_id", "session", "path", "course_id", "agent",
                                     "page",    "host",    "ip",   "module",    "mode"};
  tw_buffer_printf(out, "%s\"%s_%u\":%s", blank, keys[number % 10], number, blank);
  switch ((name * 7 + number * (name + 3)) % 8) {
    case 0: tw_buffer_printf(out, "%u", random_below(1u << random_below(24))); break;
    case 1: tw_buffer_printf(out, "%u.%u", random_below(1000), random_below(100)); break;
    case 2: tw_buffer_printf(out, "%s", random_below(2) ? "true" : "null"); break;
    default:
      tw_buffer_byte(out, '"');
      put_word(out, 5, random_below(4) ? 20 : 60);
      tw_buffer_byte(out, '"');
  }
}

/* An event in the form of a tracking log, filled up with members to about `size` bytes. */
static void put_event(tw_buffer *out, size_t size, const char *blank) {
  uint32_t name = random_below(15);
  tw_buffer_printf(out, "{\"name\":%s\"edx.video.played.%u\",%s\"timestamp\":%s", blank, name,
                   blank, blank);
  tw_buffer_printf(out, "\"2026-11-24T05:00:00.%06uZ\",%s\"data\":%s{\"id\":%s%u",
                   random_below(1000000), blank, blank, blank, random_below(100000));
  for (uint32_t i = 0; out->len < size / 2; i++)
    tw_buffer_byte(out, ','), put_member(out, name, i, blank);
  tw_buffer_printf(out, "},%s\"context\":%s{\"host\":%s\"h%u\"", blank, blank, blank,
                   random_below(9));
  for (uint32_t i = 0; out->len + 20 < size; i++)
    tw_buffer_byte(out, ','), put_member(out, name, i, blank);
  tw_buffer_append(out, "}}", 2);
}

static void generate(corpus *c, size_t size, const char *blank) {
  c->bytes = 0;
  c->count = BYTES / size < EVENTS ? (int)(BYTES / size) : EVENTS;
  for (int i = 0; i < c->count; i++) {
    c->text[i].len = 0;
    put_event(&c->text[i], size, blank);
    c->bytes += c->text[i].len;
    tw_buffer_pad(&c->text[i], TW_PADDING);
  }
}

/* --------------------------------------------------------------- measuring */

typedef void (*job)(corpus *c, const tw_buffer *text, tw_read_fn read);

static void do_read(corpus *c, const tw_buffer *text, tw_read_fn read) {
  size_t count;
  tw_error error;
  if (read(text->data, text->len, TW_MAX_DEPTH, c->nodes, &count, &error) == TW_OK) return;
  fprintf(stderr, "%zu: %s\n", error.position, error.message);
  exit(1);
}

static void do_scan(corpus *c, const tw_buffer *text, tw_read_fn read) {
  (void)read;
  memcpy(c->copy, text->data, text->len + 1);
  if (strlen(c->copy) != text->len) exit(1);
}

static void do_cjson(corpus *c, const tw_buffer *text, tw_read_fn read) {
  (void)read;
  lua_pushvalue(c->L, 1);
  lua_pushlstring(c->L, text->data, text->len);
  lua_call(c->L, 1, 0);
}

static double cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* @return nanoseconds for one event */
static double measure(corpus *c, job run, tw_read_fn read) {
  double rounds[ROUNDS];
  size_t passes = (run == do_cjson ? BYTES_A_ROUND / 8 : BYTES_A_ROUND) / c->bytes + 1;
  for (int round = 0; round < ROUNDS; round++) {
    double start = cpu_ns();
    for (size_t pass = 0; pass < passes; pass++)
      for (int i = 0; i < c->count; i++) run(c, &c->text[i], read);
    rounds[round] = (cpu_ns() - start) / ((double)passes * c->count);
  }
  qsort(rounds, ROUNDS, sizeof *rounds, by_size);
  return rounds[ROUNDS / 2];
}

static void print_size(corpus *c, const char *style) {
  double bytes = (double)c->bytes / c->count;
  double scan = measure(c, do_scan, NULL), cjson = measure(c, do_cjson, NULL);
  printf("%8.0f %-7s %-9s %10.1f %7.2f\n", bytes, style, "copy", scan, bytes / scan);
  const char *name;
  tw_read_fn read;
  for (size_t i = 0; (read = tw_reader_variant(i, &name)); i++) {
    double ns = measure(c, do_read, read);
    printf("%8.0f %-7s %-9s %10.1f %7.2f %8.1f %8.3f\n", bytes, style, name, ns, bytes / ns,
           ns / scan, ns / cjson);
  }
  printf("%8.0f %-7s %-9s %10.1f %7.2f %8.1f %8.3f\n", bytes, style, "cjson", cjson,
         bytes / cjson, cjson / scan, 1.0);
}

int main(void) {
  static const size_t sizes[] = {200, 550, 2048, 8192, 65536};
  static corpus c;
  c.nodes = malloc(sizeof *c.nodes * tw_reader_bound(1 << 17));
  c.copy = malloc(1 << 17);
  c.L = luaL_newstate();
  if (!c.nodes || !c.copy || !c.L) return 1;
  luaopen_cjson(c.L);
  lua_getfield(c.L, -1, "decode");
  lua_replace(c.L, 1);
  printf("%8s %-7s %-9s %10s %7s %8s %8s\n", "bytes", "style", "reader", "ns/event", "GB/s",
         "x copy", "x cjson");
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    generate(&c, sizes[i], "");
    print_size(&c, "compact");
    generate(&c, sizes[i], " ");
    print_size(&c, "blanks");
  }
  lua_close(c.L);
  for (int i = 0; i < EVENTS; i++) tw_buffer_fini(&c.text[i]);
  free(c.nodes);
  free(c.copy);
  return 0;
}
