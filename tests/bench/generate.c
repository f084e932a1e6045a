/* Writes COUNT made-up events of about 550 bytes as NDJSON to standard output, the same at
   every run. A quarter of them have one of five names that the routing job drops. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 42;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static const char *const names[20] = {
    "video.played",     "video.paused",      "video.seeked",     "video.stopped",
    "problem.checked",  "problem.shown",     "problem.saved",    "forum.thread.created",
    "forum.replied",    "forum.searched",    "book.opened",      "book.page.turned",
    "course.enrolled",  "course.completed",  "user.logged_in",   "debug.heartbeat",
    "debug.page.timer", "debug.mouse.moved", "debug.scroll.end", "debug.cache.missed"};

static void write_event(uint64_t index) {
  uint64_t r = next(), user = r % 50000, course = (r >> 17) % 300;
  const char *name = names[r >> 60 < 4 ? 15 + (r >> 40) % 5 : (r >> 40) % 15];
  printf("{\"name\": \"%s\", \"timestamp\": \"2026-11-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64
         ":%02" PRIu64 ".%06" PRIu64 "Z\", ",
         name, 1 + index / 40000 % 28, index / 3600 % 24, index / 60 % 60, index % 60,
         r % 1000000);
  printf("\"context\": {\"user_id\": %" PRIu64 ", \"username\": \"learner_%" PRIu64
         "\", \"email\": \"learner_%" PRIu64 "@example.org\", \"session\": \"%016" PRIx64
         "%016" PRIx64 "\", ",
         user, user, user, next(), next());
  printf("\"course_id\": \"course-v1:TideX+C%03" PRIu64
         "+2026\", \"org_id\": \"TideX\", "
         "\"ip\": \"10.%" PRIu64 ".%" PRIu64 ".%" PRIu64
         "\", "
         "\"agent\": \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
         "Firefox/128.0\"}, ",
         course, r % 256, (r >> 8) % 256, (r >> 16) % 256);
  printf("\"data\": {\"code\": \"%08" PRIx64 "\", \"current_time\": %" PRIu64 ".%03" PRIu64
         ", \"duration\": %" PRIu64
         ", \"speed\": 1.5, \"muted\": %s, \"tags\": [\"a\", "
         "\"b%" PRIu64
         "\"], \"previous\": null, \"title\": \"Tides and currents \\u2014 "
         "unit %" PRIu64 "\"}}\n",
         r >> 32, r % 5400, next() % 1000, 600 + r % 4800, r & 1 ? "true" : "false", r % 10,
         r % 40);
}

int main(int argc, char **argv) {
  uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
  for (uint64_t i = 0; i < count; i++) write_event(i);
  return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
