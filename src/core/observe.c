#include <stdio.h>
#include <string.h>

#include "core/router.h"

/* -------------------------------------------------------------------- path */

/* Appends a step; what does not fit is cut, with the NUL kept. */
static size_t append_step(char *out, size_t used, size_t room, const char *name) {
  int more = snprintf(out + used, room - used, "%s%s", used && *name ? "/" : "", name);
  size_t end = used + (more > 0 ? (size_t)more : 0);
  return end < room ? end : room - 1;
}

static size_t write_way(const tw_way *way, char *out, size_t room) {
  size_t used = way->up ? write_way(way->up, out, room) : 0;
  return append_step(out, used, room, way->name);
}

void tw_way_path(const tw_way *way, const char *port, char *out, size_t room) {
  out[0] = '\0';
  size_t used = write_way(way, out, room);
  if (port) append_step(out, used, room, port);
}

/* -------------------------------------------------------------------- tell */

/* A message may come from a script and hold anything. */
static void keep_on_one_line(char *text) {
  for (; *text; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7F) *text = ' ';
  }
}

/* Writes the 1st, 2nd, 4th, 8th … failure, in one piece, so that threads do not mix; and all
   that is told but once anyway. */
static void tell_default(const tw_way *way, const tw_failure *failure) {
  bool is_notice = strcmp(failure->where, "breaker") == 0;
  uint64_t count = is_notice ? 0 : atomic_fetch_add(&way->router->told, 1) + 1;
  if (count & (count - 1)) return;
  char line[1200], suffix[48] = "";
  if (count > 2) snprintf(suffix, sizeof suffix, " (failure %llu)", (unsigned long long)count);
  snprintf(line, sizeof line, "tidewire: %s%s%s%s%s: %s%s", failure->path,
           *failure->path ? ": " : "", failure->where, failure->name ? " " : "",
           failure->name ? failure->name : "", failure->error->message, suffix);
  keep_on_one_line(line);
  fprintf(stderr, "%s\n", line);
}

void tw_tell(const tw_way *way, const char *port, tw_failure *failure) {
  char path[512];
  tw_way_path(way, port, path, sizeof path);
  failure->path = path;
  const tw_watcher *watcher = way->watcher;
  if (!watcher) tell_default(way, failure);
  else if (watcher->observer.failed) watcher->observer.failed(watcher->shared.self, failure);
  failure->path = NULL;
}

bool tw_tell_dead(const tw_way *way, tw_failure *failure) {
  char path[512];
  const tw_watcher *watcher = way->watcher;
  if (!watcher || !watcher->observer.dead) return false;
  tw_way_path(way, NULL, path, sizeof path);
  failure->path = path;
  watcher->observer.dead(watcher->shared.self, failure);
  failure->path = NULL;
  return true;
}
