/* The engine on the routing job's script without files: events of a file in memory are sent as
   JSON text, by 1 and 2 threads to 1 and 2 workers; and the same script called from one thread
   with its limits and without, which is what the sandbox costs.

   One thread that parses, calls the script and has no queue is the base: what a worker can do
   at best. */
#include <math.h>

#include "core/inspect.h"
#include "event/event.h"
#include "measure.h"
#include "script/script.h"

enum { RUNS = 7, MAX_EVENTS = 100000, MAX_SENDERS = 8 };

typedef struct line {
  char *text;
  size_t len;
} line;

/* What was read, and the script; set once. */
static line lines[MAX_EVENTS];
static size_t line_count;
static const char *script_path;

/* Keeps each line in a block with the reader's padding. */
static void read_lines(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = NULL;
  size_t room = 0;
  ssize_t len;
  if (!file) {
    perror(path);
    exit(1);
  }
  while (line_count < MAX_EVENTS && (len = getline(&text, &room, file)) > 1) {
    line *next = &lines[line_count++];
    next->len = (size_t)len - 1;
    next->text = calloc(1, next->len + TW_PADDING);
    if (!next->text) abort();
    memcpy(next->text, text, next->len);
  }
  free(text);
  fclose(file);
}

/* ------------------------------------------------------------------ alone */

static void route_lines(tw_script *script) {
  tw_store store = {0};
  tw_error error;
  uint64_t reached;
  tw_store_init(&store, NULL);
  for (size_t i = 0; i < line_count; i++) {
    tw_event event;
    check(tw_store_parse(&store, lines[i].text, lines[i].len, &event, &error), &error);
    check(tw_router_deliver(tw_script_router(script), &event, TW_MORE, &reached, &error),
          &error);
    tw_event_end(&event);
    tw_store_reset(&store);
  }
  tw_store_fini(&store);
}

static cost alone(const variant *v) {
  tw_script *script;
  tw_error error;
  check(tw_script_load_with(script_path, v->setup, &script, &error), &error);
  check(tw_router_open(tw_script_router(script), &error), &error);
  cost start = now();
  route_lines(script);
  cost took = since(start);
  tw_script_free(script);
  return took;
}

/* ----------------------------------------------------------------- engine */

typedef struct sender {
  pthread_t thread;
  tw_engine *engine;
  size_t first, step;
} sender;

static void *send_lines(void *arg) {
  const sender *self = arg;
  tw_error error;
  for (size_t i = self->first; i < line_count; i += self->step)
    check(tw_engine_send_json(self->engine, lines[i].text, lines[i].len, &error), &error);
  return NULL;
}

/* The time until all has been processed counts too. */
static cost through_engine(const variant *v) {
  sender senders[MAX_SENDERS];
  char options[80];
  tw_engine *engine;
  tw_error error;
  int len = snprintf(options, sizeof options,
                     "{\"workers\": %u, \"partition_by\": \"context.user_id\"}", v->workers);
  check(tw_engine_new(script_path, options, (size_t)len, NULL, NULL, &engine, &error), &error);
  cost start = now();
  for (unsigned i = 0; i < v->threads; i++) {
    senders[i] = (sender){.engine = engine, .first = i, .step = v->threads};
    pthread_create(&senders[i].thread, NULL, send_lines, &senders[i]);
  }
  for (unsigned i = 0; i < v->threads; i++) pthread_join(senders[i].thread, NULL);
  check(tw_engine_flush(engine, -1, NULL, &error), &error);
  cost took = since(start);
  tw_engine_unref(engine);
  return took;
}

int main(int argc, char **argv) {
  static const tw_script_options unlimited = {
      .memory = SIZE_MAX, .instructions = TW_NO_LIMIT, .seconds = INFINITY};
  if (argc != 3) {
    fputs("usage: engine_bench ROUTER_SCRIPT EVENTS_FILE\n", stderr);
    return 64;
  }
  script_path = argv[1];
  read_lines(argv[2]);
  variant engine[] = {
      {.name = "no engine: one thread", .run = alone},
      {"1 worker, 1 sender", through_engine, .threads = 1, .workers = 1},
      {"1 worker, 2 senders", through_engine, .threads = 2, .workers = 1},
      {"2 workers, 1 sender", through_engine, .threads = 1, .workers = 2},
      {"2 workers, 2 senders", through_engine, .threads = 2, .workers = 2},
  };
  variant sandbox[] = {{.name = "without limits", .run = alone, .setup = &unlimited},
                       {.name = "with the default limits", .run = alone}};
  puts("# the script in an engine, events sent as JSON text");
  run_all(engine, sizeof engine / sizeof *engine, RUNS, (double)line_count);
  puts("# the sandbox: the same script on one thread");
  run_all(sandbox, sizeof sandbox / sizeof *sandbox, RUNS, (double)line_count);
  return 0;
}
