/* A new spool is written in the folder `repaired` inside of the old one, and takes the place of
   the old file at the end, in one step: the old one has got a second name before.

   When one meta page is lost it may have been the newest one: then the other's tree is taken
   for the one before. Pages that the newest tree does not lead to are of older transactions, or
   of some that failed after they were written. An event's number is never given to another one,
   so a chunk from there is right if its outbox has that number waiting. Positions of sources,
   script state and dead letters are not taken from there: a position of a failed transaction
   would skip events.
 */
#include "delivery/spool_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "delivery/check.h"
#include "delivery/dead.h"
#include "delivery/spool_inside.h"
#include "delivery/spool_keys.h"
#include "delivery/spool_mend.h"

#define REPAIRED    "repaired"
#define PENDING_MAX ((size_t)16 << 20)

void tw_repair_tell(tw_repair *repair, const char *format, ...) {
  char line[700];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  repair->say(repair->self, line);
}

/* ------------------------------------------------------------------- write */

static tw_status begin_if_needed(tw_repair *repair) {
  return repair->txn ? TW_OK : tw_spool_begin(repair->out, true, &repair->txn, repair->error);
}

static tw_status commit(tw_repair *repair) {
  tw_spool_txn *txn = repair->txn;
  repair->txn = NULL;
  repair->pending = 0;
  return txn ? tw_spool_commit(txn, repair->error) : TW_OK;
}

tw_status tw_repair_put(tw_repair *repair, tw_spool_table table, const void *key,
                        size_t key_len, const void *value, size_t len) {
  tw_status status = repair->pending > PENDING_MAX ? commit(repair) : TW_OK;
  if (!status) status = begin_if_needed(repair);
  if (!status)
    status = tw_spool_put(repair->txn, table, key, key_len, value, len, repair->error);
  repair->pending += len;
  return status;
}

tw_status tw_repair_delete(tw_repair *repair, tw_spool_table table, const void *key,
                           size_t key_len) {
  tw_status status = begin_if_needed(repair);
  return status ? status : tw_spool_delete(repair->txn, table, key, key_len, repair->error);
}

/* -------------------------------------------------------------- dead letters */

tw_status tw_repair_store_letters(tw_repair *repair) {
  tw_spool_record last;
  tw_chunk *chunk, *before;
  const char *bytes;
  unsigned char key[8];
  size_t size;
  uint64_t number = 0;
  if (!repair->dead.count) return TW_OK;
  tw_status status = begin_if_needed(repair);
  if (status) return status;
  if (!tw_spool_last(repair->txn, TW_SPOOL_DEAD, "", 0, &last, NULL) && last.key_len == 8) {
    number = tw_spool_read_number(last.key) + 1;
    if (!tw_chunk_read(last.value, last.len, &before, NULL)) {
      number += tw_chunk_count(before) - 1;
      tw_chunk_unref(before);
    }
  }
  status = tw_chunk_finish(&repair->dead, 0, tw_clock_utc_us(), &chunk, repair->error);
  if (status) return status;
  tw_chunk_number(chunk, number);
  tw_chunk_bytes(chunk, &bytes, &size);
  tw_spool_write_number(key, number);
  status = tw_repair_put(repair, TW_SPOOL_DEAD, key, sizeof key, bytes, size);
  tw_chunk_unref(chunk);
  return status;
}

static tw_status add_letter(tw_repair *repair, const char *json, size_t len) {
  repair->result->salvaged++;
  tw_status status =
      tw_chunk_builder_add_text(&repair->dead, json, len, "", 0, 0, repair->error);
  if (!status && repair->dead.text.len >= TW_CHUNK_BYTES)
    status = tw_repair_store_letters(repair);
  return status;
}

tw_status tw_repair_bury(tw_repair *repair, const char *json, size_t len, const char *why) {
  tw_error reason;
  tw_fail(&reason, TW_EIO, "%s", why);
  tw_dead_letter letter = {.time_us = tw_clock_utc_us(),
                           .where = "backend",
                           .path = repair->path,
                           .error = &reason,
                           .event = json,
                           .event_len = len};
  repair->letter.len = 0;
  if (!tw_dead_letter_write(&letter, &repair->letter)) return tw_no_memory(repair->error);
  return add_letter(repair, repair->letter.data, repair->letter.len);
}

/* ----------------------------------------------------------------- salvage */

typedef struct tw_salvage {
  tw_repair *repair;
  bool are_letters; ///< the lines are dead letters already
  uint64_t lines;
  tw_status status;
} tw_salvage;

static void salvage_line(void *self, const char *json, size_t len) {
  tw_salvage *salvage = self;
  if (salvage->status) return;
  salvage->lines++;
  salvage->status =
      salvage->are_letters
          ? add_letter(salvage->repair, json, len)
          : tw_repair_bury(salvage->repair, json, len,
                           "found in a damaged part of the spool: it may have changed");
}

static tw_status salvage(tw_repair *repair, const tw_found *found, const char *path) {
  tw_salvage state = {.repair = repair, .are_letters = found->table == TW_SPOOL_DEAD};
  repair->path = path;
  if (found->record.value)
    tw_chunk_salvage(found->record.value, found->record.len, salvage_line, &state);
  if (state.lines)
    tw_repair_tell(repair, "%s: %llu of them are dead letters now", path,
                   (unsigned long long)state.lines);
  return state.status;
}

/* Names what was damaged. @param[out] out  its path, or what stands for it */
static void name_damage(tw_repair *repair, const tw_found *found, char *out, size_t room) {
  uint32_t id;
  uint64_t first;
  size_t path_len;
  const tw_spool_record *record = &found->record;
  snprintf(out, room, "unknown");
  if (!found->has_key) {
    tw_repair_tell(repair, "a record is damaged, and what it was");
  } else if (found->table == TW_SPOOL_CHUNK &&
             tw_chunk_key_read(record->key, record->key_len, &id, &first)) {
    tw_repair_path_of(repair, id, out, room);
    tw_repair_tell(repair, "%s: the chunk of events from number %llu on is damaged", out,
                   (unsigned long long)first);
  } else if (found->table == TW_SPOOL_DEAD && record->key_len == 8) {
    snprintf(out, room, "dead letters");
    tw_repair_tell(repair, "dead letters from number %llu on are damaged",
                   (unsigned long long)tw_spool_read_number(record->key));
  } else if (found->table == TW_SPOOL_REPLAY &&
             tw_replay_key_read(record->key, record->key_len, &path_len, &first)) {
    snprintf(out, room, "%.*s", (int)path_len, (const char *)record->key);
    tw_repair_tell(repair, "%s: events to be replayed are damaged", out);
  } else {
    static const char *const kinds[] = {"", "outbox", "", "position of source",
                                        "state of worker"};
    size_t len = strnlen(record->key, record->key_len);
    tw_repair_tell(repair, "the %s %.*s is damaged; an older one is taken if there is one",
                   found->table <= TW_SPOOL_STATE ? kinds[found->table] : "record", (int)len,
                   (const char *)record->key);
  }
}

static tw_status look_for_lines(tw_repair *repair, const tw_found *found) {
  char path[256];
  tw_status status = begin_if_needed(repair);
  if (status || found->is_whole || found->table == TW_SPOOL_ABOUT) return status;
  name_damage(repair, found, path, sizeof path);
  bool has_lines = found->table == TW_SPOOL_CHUNK || found->table == TW_SPOOL_DEAD ||
                   found->table == TW_SPOOL_REPLAY;
  return has_lines ? salvage(repair, found, path) : TW_OK;
}

/* -------------------------------------------------------------------- keep */

static bool has(tw_repair *repair, const tw_found *found, tw_outbox_record *outbox) {
  const void *value;
  size_t len;
  if (begin_if_needed(repair)) return false;
  tw_status status = tw_spool_get(repair->txn, found->table, found->record.key,
                                  found->record.key_len, &value, &len, NULL);
  if (!status && found->table == TW_SPOOL_OUTBOX) tw_outbox_record_read(value, len, outbox);
  return !status;
}

static tw_status keep(tw_repair *repair, const tw_found *found) {
  return tw_repair_put(repair, found->table, found->record.key, found->record.key_len,
                       found->record.value, found->record.len);
}

/* An outbox that the newest tree does not tell of: the one that has come furthest. */
static tw_status keep_older_outbox(tw_repair *repair, const tw_found *found) {
  tw_outbox_record known = {0}, older;
  if (!tw_outbox_record_read(found->record.value, found->record.len, &older)) return TW_OK;
  bool is_known = has(repair, found, &known);
  if (is_known && (repair->pass == TW_REPAIR_BEFORE || known.tail >= older.tail)) return TW_OK;
  bool is_listed = tw_repair_is_older(repair, found->record.key, found->record.key_len);
  if (is_known && !is_listed) return TW_OK; // of the newest tree
  if (!is_listed && !tw_buffer_printf(&repair->older, "%.*s\n", (int)found->record.key_len,
                                      (const char *)found->record.key))
    return tw_no_memory(repair->error);
  return keep(repair, found);
}

static tw_status check_version(tw_repair *repair, const tw_found *found) {
  bool is_version = found->record.key_len == strlen(TW_ABOUT_VERSION) &&
                    memcmp(found->record.key, TW_ABOUT_VERSION, found->record.key_len) == 0;
  if (!is_version || found->record.len != 4 ||
      tw_little_endian_read(found->record.value, 4) <= TW_SPOOL_VERSION)
    return TW_OK;
  return tw_fail(repair->error, TW_EINVAL,
                 "%.256s: a newer Tidewire wrote this spool: use that version",
                 repair->walk.pages.folder);
}

static tw_status visit(void *self, const tw_found *found) {
  tw_repair *repair = self;
  tw_outbox_record unused;
  bool is_newest = repair->pass == TW_REPAIR_NEWEST;
  if (repair->pass == TW_REPAIR_SALVAGE) return look_for_lines(repair, found);
  if (is_newest) repair->broken += !found->is_whole, repair->read += found->is_whole;
  if (!found->is_whole) return TW_OK;
  if (found->table == TW_SPOOL_ABOUT) return check_version(repair, found);
  if (is_newest) return keep(repair, found);
  if (found->table == TW_SPOOL_OUTBOX) return keep_older_outbox(repair, found);
  if (repair->pass == TW_REPAIR_REST && found->table != TW_SPOOL_CHUNK) return TW_OK;
  return has(repair, found, &unused) ? TW_OK : keep(repair, found);
}

/* -------------------------------------------------------------------- passes */

static tw_status walk_meta(tw_repair *repair, unsigned which) {
  if (!repair->walk.is_whole[which]) return TW_OK;
  return tw_walk_tree(&repair->walk, &repair->walk.metas[which].main);
}

static tw_status read_again(tw_repair *repair) {
  repair->pass = TW_REPAIR_SALVAGE;
  memset(repair->walk.seen, 0, (size_t)(repair->walk.pages.count / 8 + 1));
  return walk_meta(repair, repair->walk.newest);
}

static bool is_damaged(const tw_repair *repair, tw_status checked) {
  return checked || repair->broken || repair->walk.damaged;
}

static void tell_pages(tw_repair *repair) {
  unsigned newest = repair->walk.newest;
  if (!repair->walk.is_whole[newest]) {
    tw_repair_tell(repair, "neither meta page can be read: the trees are lost");
    return;
  }
  uint64_t entries = repair->walk.metas[newest].main.entries;
  if (!repair->walk.is_whole[!newest])
    tw_repair_tell(repair,
                   "one of the meta pages cannot be read: the last transaction may be lost");
  if (repair->walk.damaged)
    tw_repair_tell(repair, "%llu pages are damaged, of which others were reached",
                   (unsigned long long)repair->walk.damaged);
  if (repair->pass == TW_REPAIR_NEWEST && repair->read + repair->broken < entries)
    tw_repair_tell(repair, "%llu of %llu records could not be reached",
                   (unsigned long long)(entries - repair->read - repair->broken),
                   (unsigned long long)entries);
}

static tw_status read_old(tw_repair *repair, tw_status checked) {
  bool is_newest = repair->walk.is_whole[0] && repair->walk.is_whole[1];
  repair->pass = is_newest ? TW_REPAIR_NEWEST : TW_REPAIR_BEFORE;
  tw_status status = walk_meta(repair, repair->walk.newest);
  repair->result->is_sound = !status && !is_damaged(repair, checked);
  if (status || repair->result->is_sound) return status;
  tell_pages(repair);
  repair->pass = TW_REPAIR_BEFORE;
  status = walk_meta(repair, !repair->walk.newest);
  repair->pass = TW_REPAIR_REST;
  if (!status) status = tw_walk_rest(&repair->walk);
  if (!status) status = read_again(repair);
  if (!status) status = tw_repair_mend(repair);
  if (!status) status = tw_repair_store_letters(repair);
  return status ? status : commit(repair);
}

/* --------------------------------------------------------------------- files */

static void remove_repaired(const char *path) {
  static const char *const names[] = {TW_SPOOL_FILE, "lock.mdb", "owner"};
  char file[4096];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (tw_spool_path(file, sizeof file, path, names[i])) unlink(file);
  rmdir(path);
}

/* The old file has its second name before the new one takes the first. */
static tw_status swap_files(tw_repair *repair, const char *old, const char *repaired) {
  char made[4096], stamp[TW_RFC3339_LEN + 1] = "";
  tw_rfc3339(tw_clock_utc_us(), stamp);
  snprintf(repair->result->damaged, sizeof repair->result->damaged, "%.400s.damaged-%.19sZ",
           old, stamp);
  if (!tw_spool_path(made, sizeof made, repaired, TW_SPOOL_FILE) ||
      link(old, repair->result->damaged) || rename(made, old)) {
    int code = errno;
    return tw_spool_fail(repair->walk.pages.folder, NULL, code,
                         "cannot put the new file in place", repair->error);
  }
  int fd = open(repair->walk.pages.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) fsync(fd), close(fd);
  return TW_OK;
}

/* What takes the old file's place is sound. */
static tw_status check_new(tw_repair *repair, const char *repaired) {
  char path[4096];
  tw_check_result result = {0};
  int fd = tw_spool_path(path, sizeof path, repaired, TW_SPOOL_FILE)
               ? open(path, O_RDONLY | O_CLOEXEC)
               : -1;
  if (fd < 0) return tw_fail(repair->error, TW_EIO, "%.256s: the new file is gone", repaired);
  tw_status status = tw_check_file(fd, repaired, 0, 0, &result, repair->error);
  repair->result->records = result.records;
  close(fd);
  return status;
}

static tw_status make_new(tw_repair *repair, int fd, const char *repaired, tw_status checked) {
  struct stat old;
  tw_spool_options options = {.mode = TW_SPOOL_OWN, .lazy = true};
  if (fstat(fd, &old) == 0) options.max_bytes = ((uint64_t)8 << 30) + (uint64_t)old.st_size * 2;
  remove_repaired(repaired);
  tw_status status = tw_spool_open(repaired, &options, &repair->out, repair->error);
  if (!status) status = read_old(repair, checked);
  tw_spool_abort(repair->txn);
  repair->txn = NULL;
  if (!status) status = tw_spool_sync(repair->out, repair->error);
  tw_spool_close(repair->out);
  return status ? status : check_new(repair, repaired);
}

static tw_status repair_file(tw_repair *repair, int fd, uint64_t failed, const char *folder,
                             const char *path) {
  char repaired[4096];
  if (!tw_spool_path(repaired, sizeof repaired, folder, REPAIRED))
    return tw_fail(repair->error, TW_EINVAL, "%.256s: the path is too long", folder);
  tw_status checked = tw_check_file(fd, folder, 0, failed, NULL, repair->error);
  if (checked == TW_EINVAL || checked == TW_ENOMEM) return checked;
  if (checked) tw_repair_tell(repair, "%s", repair->error->message);
  tw_status status = tw_walk_open(fd, folder, failed, &repair->walk, repair->error);
  repair->walk.visit = visit, repair->walk.self = repair;
  if (!status) status = make_new(repair, fd, repaired, checked);
  if (status == TW_ENOMEM) status = tw_no_memory(repair->error);
  if (!status && !repair->result->is_sound) status = swap_files(repair, path, repaired);
  remove_repaired(repaired);
  return status;
}

static void free_parts(tw_repair *repair) {
  tw_walk_close(&repair->walk);
  tw_buffer_fini(&repair->older);
  tw_buffer_fini(&repair->letter);
  tw_chunk_builder_fini(&repair->dead);
}

tw_status tw_spool_repair(const char *folder, tw_repair_say_fn say, void *self,
                          tw_repair_result *out, tw_error *error) {
  char path[4096];
  int owner = -1;
  uint64_t failed;
  tw_error unused = {.message = ""};
  tw_repair repair = {
      .say = say, .self = self, .result = out, .error = error ? error : &unused};
  *out = (tw_repair_result){0};
  if (!tw_spool_path(path, sizeof path, folder, TW_SPOOL_FILE) || access(path, F_OK))
    return tw_fail(error, TW_ENOENT, "%.256s: there is no spool", folder);
  tw_status status = tw_spool_take(folder, &owner, &failed, error);
  if (status) return status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) status = tw_spool_fail(folder, NULL, errno, "cannot open " TW_SPOOL_FILE, error);
  if (!status) status = repair_file(&repair, fd, failed, folder, path);
  if (fd >= 0) close(fd);
  free_parts(&repair);
  tw_spool_disown(owner);
  return status;
}
