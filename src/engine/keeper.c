/* A loop of libuv's on a thread of its own.

   Folders are watched, not files: a file that is replaced, or a symbolic link that is switched
   on the way to it, changes an entry of a folder. Of every path the entries that lead to it
   are kept; what happens to others is nobody's. Events are only hints: what decides is whether
   the files are as the last reload found them.

   The system may not tell of a folder: it has no watches left, the file system knows none, or
   the folder that it told of was moved away and another stands there. So all is looked at once
   a second besides. */
#include "engine/keeper.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "engine/durable.h"

/* After a first change others follow: they are waited for, but not for ever. */
enum { SETTLE_MS = 50, SETTLE_MAX_MS = 1000, WATCHDOG_MS = 100, MAX_LINKS = 40 };
enum { LOOK_MS = 1000 };

typedef struct entry {
  struct entry *next;
  char name[];
} entry;

typedef struct folder {
  uv_fs_event_t handle; /* its data is the keeper */
  struct folder *next;
  entry *entries;
  bool is_wanted, is_watched;
  dev_t device; /* of the one that is watched */
  ino_t inode;
  char path[];
} folder;

struct tw_keeper {
  tw_engine *engine;
  uv_loop_t loop;
  uv_async_t call;
  uv_timer_t settle, watchdog, look, replay;
  uint64_t first_change; /* ns; 0: nothing has changed */
  folder *folders;
  tw_error trouble; /* the first with watching; its code is TW_OK: none */
  bool has_told;    /* of it */
  pthread_t thread;
  pthread_mutex_t mutex;
  bool is_stopping; /* guarded */
};

/* ----------------------------------------------------------------- folders */

static void free_entries(folder *at) {
  while (at->entries) {
    entry *gone = at->entries;
    at->entries = gone->next;
    tw_free(gone);
  }
}

static void free_folder(uv_handle_t *handle) {
  folder *gone = (folder *)handle; /* its first member */
  free_entries(gone);
  tw_free(gone);
}

static bool has_entry(const folder *at, const char *name) {
  const entry *found = at->entries;
  while (found && strcmp(found->name, name) != 0) found = found->next;
  return found != NULL;
}

static void add_entry(folder *at, const char *name) {
  if (has_entry(at, name)) return;
  size_t size = strlen(name) + 1;
  entry *fresh = tw_malloc(sizeof *fresh + size);
  if (!fresh) return;
  memcpy(fresh->name, name, size);
  fresh->next = at->entries;
  at->entries = fresh;
}

static bool is_lua(const char *name) {
  size_t len = strlen(name);
  return len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

static void on_settled(uv_timer_t *timer);

static void settle(tw_keeper *keeper) {
  uint64_t now = tw_clock_monotonic_ns();
  if (!keeper->first_change) keeper->first_change = now;
  bool waits = now - keeper->first_change < (uint64_t)SETTLE_MAX_MS * 1000000;
  if (waits || !uv_is_active((uv_handle_t *)&keeper->settle))
    uv_timer_start(&keeper->settle, on_settled, SETTLE_MS, 0);
}

/* A module that was missing has no entry yet. */
static void on_event(uv_fs_event_t *handle, const char *name, int events, int status) {
  (void)events, (void)status;
  if (!name || has_entry((folder *)handle, name) || is_lua(name)) settle(handle->data);
}

/* A folder that is gone has no news: its place in the one above is watched. */
static void note_trouble(tw_keeper *keeper, const char *path, int problem) {
  if (keeper->trouble.code || problem == UV_ENOENT || problem == UV_ENOTDIR) return;
  tw_fail(&keeper->trouble, TW_EIO,
          "%s: the system does not tell of changes here (%s): its files are looked at once a "
          "second instead",
          path, uv_strerror(problem));
}

/* Watches what is at the path now. */
static void watch(tw_keeper *keeper, folder *at) {
  struct stat info = {0};
  bool is_there = stat(at->path, &info) == 0;
  if (at->is_watched && is_there && info.st_dev == at->device && info.st_ino == at->inode)
    return;
  uv_fs_event_stop(&at->handle);
  int problem = uv_fs_event_start(&at->handle, on_event, at->path, 0);
  at->is_watched = !problem;
  at->device = info.st_dev;
  at->inode = info.st_ino;
  if (problem) note_trouble(keeper, at->path, problem);
}

static folder *new_folder(tw_keeper *keeper, const char *path) {
  size_t size = strlen(path) + 1;
  folder *fresh = tw_calloc(1, sizeof *fresh + size);
  if (!fresh) return NULL;
  memcpy(fresh->path, path, size);
  uv_fs_event_init(&keeper->loop, &fresh->handle);
  fresh->handle.data = keeper;
  fresh->next = keeper->folders;
  keeper->folders = fresh;
  return fresh;
}

/* ------------------------------------------------------------------- paths */

/* Wants news of the entry that a path ends with. `path` is changed for the moment. */
static void want_entry(tw_keeper *keeper, char *path) {
  char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  const char *parent = !slash ? "." : slash == path ? "/" : path;
  if (slash && slash != path) *slash = '\0';
  folder *at = keeper->folders;
  while (at && strcmp(at->path, parent) != 0) at = at->next;
  if (!at) at = new_folder(keeper, parent);
  if (at) {
    if (!at->is_wanted) watch(keeper, at);
    at->is_wanted = true;
    add_entry(at, name);
  }
  if (slash && slash != path) *slash = '/';
}

/* Puts what a link at the end of `prefix` leads to, and the rest behind it, into `out`. */
static bool follow(const char *prefix, const char *rest, char *out, size_t room) {
  char target[PATH_MAX];
  ssize_t len = readlink(prefix, target, sizeof target - 1);
  if (len < 0) return false;
  target[len] = '\0';
  const char *slash = strrchr(prefix, '/');
  int parent = slash && *target != '/' ? (int)(slash - prefix) + 1 : 0;
  int written = snprintf(out, room, "%.*s%s%s", parent, prefix, target, rest);
  return written > 0 && (size_t)written < room;
}

/* @return whether a link on the way was followed, into `path` */
static bool follow_first_link(tw_keeper *keeper, char *path, size_t room) {
  for (char *end = path + 1; *path; end++) {
    if (*end != '/' && *end) continue;
    char rest[PATH_MAX], next[PATH_MAX];
    snprintf(rest, sizeof rest, "%s", end);
    bool is_last = !*end;
    *end = '\0';
    if (follow(path, rest, next, sizeof next)) {
      want_entry(keeper, path);
      snprintf(path, room, "%s", next);
      return true;
    }
    if (is_last) return false;
    *end = '/';
  }
  return false;
}

static void want_path(void *self, const char *path) {
  tw_keeper *keeper = self;
  char at[PATH_MAX];
  if (snprintf(at, sizeof at, "%s", path) >= (int)sizeof at) return;
  for (int links = 0; links < MAX_LINKS && follow_first_link(keeper, at, sizeof at); links++)
    continue;
  want_entry(keeper, at);
}

static void sweep(tw_keeper *keeper) {
  folder **at = &keeper->folders;
  while (*at) {
    folder *one = *at;
    if (one->is_wanted) {
      at = &one->next;
      continue;
    }
    *at = one->next;
    uv_close((uv_handle_t *)&one->handle, free_folder);
  }
}

/* What the last reload read, and what runs: a refused one may lack modules. */
static tw_snapshot *look_at_files(tw_keeper *keeper) {
  tw_engine *engine = keeper->engine;
  for (folder *at = keeper->folders; at; at = at->next) at->is_wanted = false;
  want_path(keeper, engine->path);
  pthread_mutex_lock(&engine->reloading);
  tw_snapshot *seen = tw_snapshot_ref(engine->seen);
  tw_snapshot_visit(seen, want_path, keeper);
  if (engine->generation) tw_snapshot_visit(engine->generation->snapshot, want_path, keeper);
  pthread_mutex_unlock(&engine->reloading);
  sweep(keeper);
  return seen;
}

/* -------------------------------------------------------------------- loop */

/* What the host is told of may let go of the engine, or ask it for something. */
static void tell_trouble(tw_keeper *keeper) {
  const tw_engine *engine = keeper->engine;
  tw_engine_stay stay;
  tw_failure failure = {.where = "watch", .path = "", .events = 1, .error = &keeper->trouble};
  if (keeper->has_told || !keeper->trouble.code) return;
  keeper->has_told = true;
  tw_engine_enter(engine, &stay);
  if (engine->ops.failed) engine->ops.failed(engine->self, &failure);
  else fprintf(stderr, "tidewire: watch: %s\n", keeper->trouble.message);
  tw_engine_leave(&stay);
}

static void reload_if_changed(tw_keeper *keeper, bool is_told) {
  tw_snapshot_unref(look_at_files(keeper));
  tw_engine_reload_changed(keeper->engine, is_told);
  tell_trouble(keeper);
}

static void on_settled(uv_timer_t *timer) {
  tw_keeper *keeper = timer->data;
  keeper->first_change = 0;
  reload_if_changed(keeper, true);
}

static void on_look(uv_timer_t *timer) {
  tw_keeper *keeper = timer->data;
  tw_snapshot *seen = look_at_files(keeper);
  if (!tw_snapshot_is_current(seen)) settle(keeper);
  tw_snapshot_unref(seen);
  tell_trouble(keeper);
}

static void on_watchdog(uv_timer_t *timer) {
  tw_keeper *keeper = timer->data;
  tw_engine_check_failures(keeper->engine);
}

/* Other processes put replays into the spool, and cannot tell. */
static void on_replay(uv_timer_t *timer) {
  const tw_keeper *keeper = timer->data;
  bool has_more = tw_engine_replay(keeper->engine);
  uv_timer_start(timer, on_replay, has_more ? 1 : LOOK_MS, 0);
}

static void stop(tw_keeper *keeper) {
  for (folder *at = keeper->folders; at; at = at->next) at->is_wanted = false;
  sweep(keeper);
  uv_close((uv_handle_t *)&keeper->call, NULL);
  uv_close((uv_handle_t *)&keeper->settle, NULL);
  uv_close((uv_handle_t *)&keeper->watchdog, NULL);
  uv_close((uv_handle_t *)&keeper->look, NULL);
  uv_close((uv_handle_t *)&keeper->replay, NULL);
}

/* Files that changed before their folder was watched are found here. */
static void on_call(uv_async_t *call) {
  tw_keeper *keeper = call->data;
  pthread_mutex_lock(&keeper->mutex);
  bool is_stopping = keeper->is_stopping;
  pthread_mutex_unlock(&keeper->mutex);
  if (is_stopping) stop(keeper);
  else if (keeper->engine->options.watch) reload_if_changed(keeper, false);
}

static void *run(void *self) {
  tw_keeper *keeper = self;
  uv_run(&keeper->loop, UV_RUN_DEFAULT);
  return NULL;
}

/* -------------------------------------------------------------------- life */

static tw_status start_loop(tw_keeper *keeper, tw_error *error) {
  int problem = uv_loop_init(&keeper->loop);
  if (problem) return tw_fail(error, TW_EIO, "watching files: %s", uv_strerror(problem));
  problem = uv_async_init(&keeper->loop, &keeper->call, on_call);
  if (problem) {
    uv_loop_close(&keeper->loop);
    return tw_fail(error, TW_EIO, "watching files: %s", uv_strerror(problem));
  }
  uv_timer_init(&keeper->loop, &keeper->settle);
  uv_timer_init(&keeper->loop, &keeper->watchdog);
  uv_timer_init(&keeper->loop, &keeper->look);
  uv_timer_init(&keeper->loop, &keeper->replay);
  keeper->call.data = keeper->settle.data = keeper;
  keeper->watchdog.data = keeper->look.data = keeper->replay.data = keeper;
  if (keeper->engine->options.watch) uv_timer_start(&keeper->look, on_look, LOOK_MS, LOOK_MS);
  if (keeper->engine->committer.is_durable) uv_timer_start(&keeper->replay, on_replay, 1, 0);
  if (keeper->engine->options.watchdog_ns)
    uv_timer_start(&keeper->watchdog, on_watchdog, WATCHDOG_MS, WATCHDOG_MS);
  uv_async_send(&keeper->call);
  return TW_OK;
}

tw_status tw_keeper_new(tw_engine *engine, tw_keeper **out, tw_error *error) {
  *out = NULL;
  tw_keeper *keeper = tw_calloc(1, sizeof *keeper);
  if (!keeper) return tw_no_memory(error);
  keeper->engine = engine;
  pthread_mutex_init(&keeper->mutex, NULL);
  tw_status status = start_loop(keeper, error);
  if (status == TW_OK) {
    /* The thread may reload at once, but not before `out` is there. */
    pthread_mutex_lock(&engine->reloading);
    status = tw_start_thread(&keeper->thread, run, keeper, error);
    if (status == TW_OK) *out = keeper;
    pthread_mutex_unlock(&engine->reloading);
    if (status) {
      stop(keeper);
      run(keeper);
      uv_loop_close(&keeper->loop);
    }
  }
  if (status) {
    pthread_mutex_destroy(&keeper->mutex);
    tw_free(keeper);
  }
  return status;
}

void tw_keeper_refresh(tw_keeper *keeper) {
  if (!keeper) return;
  pthread_mutex_lock(&keeper->mutex);
  if (!keeper->is_stopping) uv_async_send(&keeper->call);
  pthread_mutex_unlock(&keeper->mutex);
}

void tw_keeper_ask_to_stop(tw_keeper *keeper) {
  if (!keeper) return;
  pthread_mutex_lock(&keeper->mutex);
  keeper->is_stopping = true;
  uv_async_send(&keeper->call);
  pthread_mutex_unlock(&keeper->mutex);
}

void tw_keeper_stop(tw_keeper *keeper) {
  if (!keeper) return;
  pthread_join(keeper->thread, NULL);
  uv_loop_close(&keeper->loop);
}

void tw_keeper_free(tw_keeper *keeper) {
  if (!keeper) return;
  pthread_mutex_destroy(&keeper->mutex);
  tw_free(keeper);
}
