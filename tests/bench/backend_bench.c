/* Events per second into the backends, each beside the loop that one would write by hand,
   in the same run: medians of interleaved rounds. Arguments: events (200000), rounds (5). */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/backend.h"

/* Files take the same HOT events again and again, which stay in the cache as an event does that
   was just read; a database needs events of their own. */
enum { MAX_ROUNDS = 25, BUFFER = 256 * 1024, BATCH = 1000, HOT = 256 };

static size_t event_count = 200000;
static tw_event **events;
static char folder[] = "/tmp/tidewire-bench-XXXXXX";

static void must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "backend_bench: %s\n", what);
  exit(1);
}

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void run_in_folder(const char *command) {
  char line[128];
  snprintf(line, sizeof line, "cd %s && %s", folder, command);
  must(!system(line), command);
}

/* ------------------------------------------------------------------ the events */

static void make_events(void) {
  events = calloc(event_count, sizeof *events);
  for (size_t i = 0; i < event_count; i++) {
    char json[700];
    const char *id;
    size_t len;
    int n =
        snprintf(json, sizeof json,
                 "{\"name\": \"video.played.%zu\", \"timestamp\": "
                 "\"2026-11-24T%02zu:%02zu:%02zu.%06zuZ\", \"context\": {\"user_id\": %zu, "
                 "\"session\": \"%064zu\", \"agent\": \"Mozilla/5.0 (X11; Linux x86_64)\"}, "
                 "\"data\": {\"code\": \"%0200zu\", \"speed\": 1.5, \"tags\": [\"a\", "
                 "\"b\"], \"previous\": null}}",
                 i % 15, i / 3600 % 24, i / 60 % 60, i % 60, i, i % 50000, i, i);
    must(tw_event_parse(json, (size_t)n, NULL, &events[i], NULL) == TW_OK, "an event");
    must(tw_event_id(events[i], &id, &len) == TW_OK, "an id");
  }
}

/* --------------------------------------------------------------------- by hand */

static void file_by_hand(void) {
  char *buffer = malloc(BUFFER + 1024);
  size_t used = 0;
  int fd = open(path_of("hand.ndjson"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  for (size_t i = 0; i < event_count; i++) {
    const tw_node *text = tw_event_untouched(events[i % HOT]);
    memcpy(buffer + used, text->text, text->len);
    buffer[used + text->len] = '\n';
    used += text->len + 1;
    if (used < BUFFER && i + 1 < event_count) continue;
    must(write(fd, buffer, used) == (ssize_t)used, "write");
    used = 0;
  }
  close(fd);
  free(buffer);
}

static void bind_field(sqlite3_stmt *insert, int column, tw_event *event, const char *path,
                       bool as_json) {
  tw_value value;
  must(tw_event_get(event, path, &value) == TW_OK, path);
  sqlite3_bind_text(insert, column, as_json ? value.json : value.string,
                    (int)(as_json ? value.json_len : value.string_len), SQLITE_STATIC);
}

static void sqlite_by_hand(void) {
  sqlite3 *db;
  sqlite3_stmt *insert;
  sqlite3_open(path_of("hand.db"), &db);
  sqlite3_exec(db,
               "PRAGMA journal_mode = wal; PRAGMA synchronous = normal; CREATE TABLE events "
               "(id TEXT NOT NULL PRIMARY KEY, name TEXT, timestamp TEXT, data TEXT, context "
               "TEXT, event TEXT NOT NULL); CREATE INDEX a ON events (name, timestamp); "
               "CREATE INDEX b ON events (timestamp)",
               NULL, NULL, NULL);
  sqlite3_prepare_v2(db, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                     -1, &insert, NULL);
  for (size_t i = 0; i < event_count; i++) {
    const char *id, *json;
    size_t id_len, len;
    if (i % BATCH == 0) sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    tw_event_id(events[i], &id, &id_len);
    tw_event_json(events[i], &json, &len);
    sqlite3_bind_text(insert, 1, id, (int)id_len, SQLITE_STATIC);
    bind_field(insert, 2, events[i], "name", false);
    bind_field(insert, 3, events[i], "timestamp", false);
    bind_field(insert, 4, events[i], "data", true);
    bind_field(insert, 5, events[i], "context", true);
    sqlite3_bind_text(insert, 6, json, (int)len, SQLITE_STATIC);
    must(sqlite3_step(insert) == SQLITE_DONE, "insert");
    sqlite3_reset(insert);
    if ((i + 1) % BATCH == 0 || i + 1 == event_count)
      sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
  }
  sqlite3_finalize(insert);
  sqlite3_close(db);
}

static void alone_by_hand(void) {
  int fd = open(path_of("hand.ndjson"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  for (size_t i = 0; i < event_count; i++) {
    char line[1024];
    const tw_node *text = tw_event_untouched(events[i % HOT]);
    memcpy(line, text->text, text->len);
    line[text->len] = '\n';
    must(write(fd, line, text->len + 1) == (ssize_t)text->len + 1, "write");
  }
  close(fd);
}

/* ------------------------------------------------------------------- by backend */

static void by_backend(const char *kind, const char *options, size_t distinct, unsigned flags) {
  tw_backend *backend;
  tw_backend_stats stats;
  uint64_t lost;
  must(tw_backend_new_kind(kind, options, strlen(options), &backend, NULL) == TW_OK, kind);
  must(tw_backend_use(backend, NULL) == TW_OK, kind);
  for (size_t i = 0; i < event_count; i++)
    must(tw_backend_send(backend, events[i % distinct], flags, NULL) == TW_OK, kind);
  must(tw_backend_unuse(backend, &lost, NULL) == TW_OK, kind);
  tw_backend_get_stats(backend, &stats);
  must(stats.sent == event_count && !stats.duplicate, kind);
  tw_backend_unref(backend);
}

static void with_path(const char *kind, const char *name, const char *more, unsigned flags) {
  char options[256];
  snprintf(options, sizeof options, "{\"path\":\"%s\"%s}", path_of(name), more);
  by_backend(kind, options, *kind == 's' ? event_count : HOT, flags);
}

static void file(void) { with_path("file", "backend.ndjson", "", TW_MORE); }
static void file_rotated(void) {
  with_path("file", "rotated.ndjson", ",\"rotate_size\":\"16MiB\",\"keep\":1", TW_MORE);
}
static void sqlite(void) { with_path("sqlite", "backend.db", "", TW_MORE); }
static void file_alone(void) { with_path("file", "backend.ndjson", "", 0); }
static void null(void) { by_backend("null", "{}", HOT, TW_MORE); }

/* ------------------------------------------------------------------------ races */

static const struct {
  const char *name;
  void (*run)(void);
} racers[] = {{"file, by hand (memcpy and write)", file_by_hand},
              {"file", file},
              {"file, rotated at 16 MiB", file_rotated},
              {"file, by hand, each event alone", alone_by_hand},
              {"file, each event alone", file_alone},
              {"sqlite, by hand (1000 a transaction)", sqlite_by_hand},
              {"sqlite", sqlite},
              {"null", null}};
enum { RACERS = sizeof racers / sizeof *racers };

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  return values[count / 2];
}

int main(int argc, char **argv) {
  static double cpu[RACERS][MAX_ROUNDS], wall[RACERS][MAX_ROUNDS];
  int rounds = argc > 2 ? atoi(argv[2]) : 5;
  if (argc > 1) event_count = strtoul(argv[1], NULL, 10);
  must(event_count >= HOT && rounds > 0 && rounds <= MAX_ROUNDS, "usage: [EVENTS [ROUNDS]]");
  must(mkdtemp(folder) != NULL, "a folder in /tmp");
  make_events();
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < RACERS; i++) {
      run_in_folder("rm -f *");
      double cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
      double wall_start = seconds(CLOCK_MONOTONIC);
      racers[i].run();
      cpu[i][round] = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
      wall[i][round] = seconds(CLOCK_MONOTONIC) - wall_start;
    }
  }
  printf("%zu events of %u bytes, medians of %d rounds\n", event_count,
         tw_event_untouched(events[0])->len, rounds);
  for (int i = 0; i < RACERS; i++)
    printf("%-38s %8.0f ns of CPU an event, %9.0f events/s\n", racers[i].name,
           median(cpu[i], rounds) / (double)event_count * 1e9,
           (double)event_count / median(wall[i], rounds));
  for (size_t i = 0; i < event_count; i++) tw_event_free(events[i]);
  free(events);
  run_in_folder("rm -f *");
  return rmdir(folder) ? 1 : 0;
}
