/* What one Lua processor costs: routers with none to eight of them over a null backend, in
   nanoseconds of CPU for each event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "script/script.h"

static const char EVENT[] =
    "{\"name\":\"edx.video.played\",\"timestamp\":\"2026-11-24T05:00:00.123456Z\",\"data\":{"
    "\"id\":\"i4x\",\"code\":\"mobile\",\"currentTime\":12.5},\"context\":{\"user_id\":7,"
    "\"email\":\"ann@example.org\",\"host\":\"h1\",\"course_id\":\"edX/DemoX/Demo\"}}";

static double cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static tw_script *load(const char *body, int count) {
  char path[] = "/tmp/tidewire-bench-XXXXXX";
  int fd = mkstemp(path);
  FILE *file = fdopen(fd, "w");
  fprintf(file,
          "local tw = require 'tidewire'\n"
          "local re = tw.regex [[^edx\\.(?<kind>\\w+)]]\n"
          "local function f(event) %s end\n",
          body);
  fprintf(file, "local list = {} for i = 1, %d do list[i] = f end\n", count);
  fprintf(file,
          "return tw.router { processors = list,\n"
          "  backends = { out = tw.backends.null() } }\n");
  fclose(file);
  tw_script *script;
  tw_error error;
  if (tw_script_load(path, &script, &error)) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  unlink(path);
  tw_router_open(tw_script_router(script), NULL);
  return script;
}

static double measure(const char *body, int count) {
  enum { ROUNDS = 5, EVENTS = 200000 };
  tw_script *script = load(body, count);
  tw_event *event;
  tw_event_parse(EVENT, sizeof EVENT - 1, NULL, &event, NULL);
  double best = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    double start = cpu_ns();
    for (int i = 0; i < EVENTS; i++)
      tw_router_send(tw_script_router(script), event, TW_MORE, NULL);
    double each = (cpu_ns() - start) / EVENTS;
    if (each < best) best = each;
  }
  tw_event_free(event);
  tw_script_free(script);
  return best;
}

int main(void) {
  static const char *const bodies[] = {
      "", "return event.name == 'x' and false or nil",
      "local c = event.context return c.user_id == event.name and false or nil",
      "return event.name:match '^edx%.(%w+)' == 'x' and false or nil",
      "return re:match(event.name) == 'x' and false or nil"};
  double base = measure("", 0);
  printf("no processor: %.0f ns\n", base);
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
    printf("a processor `%s`: %.0f ns\n", bodies[i], (measure(bodies[i], 8) - base) / 8);
  return 0;
}
