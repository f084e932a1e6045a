/// spool_export.c: what waits in a spool, as NDJSON.
///
/// Lines are written as they lie in their chunks: outbox by outbox, in the order of paths, each
/// in the order of numbers. What is damaged is told and left out.
#include <stdio.h>
#include <string.h>

#include "app/exit.h"
#include "app/reply.h"
#include "app/spool_command.h"
#include "delivery/spool_keys.h"

typedef struct tw_export {
  tw_spool_tool *tool;
  bool has_damage, is_found; ///< of what was asked for
  bool is_broken;            ///< standard output
} tw_export;

static void tell_damage(tw_export *export, const char *what, size_t len) {
  export->has_damage = true;
  tw_term_complain(export->tool->term, "%s: %.*s: %s", export->tool->command, (int)len, what,
                   export->tool->error.message);
}

static void write_line(tw_export *export, const tw_batch_item *item) {
  if (fwrite(item->text, 1, item->len, stdout) < item->len || putchar('\n') == EOF)
    export->is_broken = true;
}

/* ------------------------------------------------------------------- outboxes */

static void write_chunk(tw_export *export, const tw_chunk *chunk, uint64_t head) {
  for (uint32_t i = tw_chunk_find(chunk, head); i < tw_chunk_count(chunk) && !export->is_broken;
       i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    write_line(export, &item);
  }
}

/* The chunk at this key or behind it. @return false when the outbox has no more */
static bool export_chunk(tw_export *export, const tw_outbox_record *outbox, uint64_t *number,
                         const char *path, size_t len) {
  unsigned char from[TW_CHUNK_KEY_LEN];
  tw_spool_record record;
  tw_chunk *chunk = NULL;
  uint32_t id;
  tw_spool_tool *tool = export->tool;
  tw_chunk_key_write(from, outbox->id, *number);
  tw_status status =
      tw_spool_seek(tool->txn, TW_SPOOL_CHUNK, from, sizeof from, &record, &tool->error);
  if (!record.key || !tw_chunk_key_read(record.key, record.key_len, &id, number) ||
      id != outbox->id)
    return false;
  if (!status) status = tw_chunk_read(record.value, record.len, &chunk, &tool->error);
  if (status) tell_damage(export, path, len);
  else write_chunk(export, chunk, outbox->head);
  tw_chunk_unref(chunk);
  return *number < UINT64_MAX;
}

static bool is_wanted(const tw_export *export, const void *path, size_t len) {
  const char *wanted = export->tool->options->backend;
  return !wanted || (strlen(wanted) == len && memcmp(wanted, path, len) == 0);
}

static tw_status export_outbox(void *self, const tw_spool_record *record,
                               const tw_error *damage) {
  tw_export *export = self;
  tw_outbox_record outbox;
  if (!is_wanted(export, record->key, record->key_len)) return TW_OK;
  export->is_found = true;
  if (damage || !tw_outbox_record_read(record->value, record->len, &outbox)) {
    tw_fail(&export->tool->error, TW_EIO, "its outbox is damaged");
    tell_damage(export, record->key, record->key_len);
    return TW_OK;
  }
  for (uint64_t number = 0;
       export_chunk(export, &outbox, &number, record->key, record->key_len); number++)
    if (export->is_broken) break;
  return TW_OK;
}

/* --------------------------------------------------------------- dead letters */

/// Of one backend: the letter says of which.
static bool letter_is_wanted(tw_export *export, const tw_batch_item *item) {
  tw_event *letter;
  if (!export->tool->options->backend) return true;
  if (tw_event_parse(item->text, item->len, NULL, &letter, NULL)) return false;
  const char *path = tw_reply_text(letter, "path");
  bool is_one = is_wanted(export, path, strlen(path));
  tw_event_free(letter);
  return is_one;
}

static tw_status export_letters(void *self, const tw_spool_record *record,
                                const tw_error *damage) {
  tw_export *export = self;
  tw_chunk *chunk;
  tw_status status = tw_spool_read_chunk(record, damage, &chunk, &export->tool->error);
  if (status == TW_ENOMEM) return status;
  if (status) {
    tell_damage(export, "dead letters", strlen("dead letters"));
    return TW_OK;
  }
  for (uint32_t i = 0; i < tw_chunk_count(chunk) && !export->is_broken; i++) {
    tw_batch_item item;
    tw_chunk_item(chunk, i, &item);
    if (letter_is_wanted(export, &item)) write_line(export, &item);
  }
  tw_chunk_unref(chunk);
  return TW_OK;
}

/* ---------------------------------------------------------------------- whole */

int tw_spool_export(tw_spool_tool *tool) {
  tw_export export = {.tool = tool};
  bool dead = tool->options->dead;
  tw_status status =
      dead ? tw_spool_each(tool->txn, TW_SPOOL_DEAD, export_letters, &export, &tool->error)
           : tw_spool_each(tool->txn, TW_SPOOL_OUTBOX, export_outbox, &export, &tool->error);
  if (fflush(stdout)) export.is_broken = true;
  if (status) return tw_spool_explain(tool, status);
  if (export.is_broken) return TW_EXIT_OUTPUT;
  if (!dead && tool->options->backend && !export.is_found) {
    tw_fail(&tool->error, TW_ENOENT, "%.200s: there is no outbox for \"%.200s\"", tool->folder,
            tool->options->backend);
    return tw_spool_explain(tool, TW_ENOENT);
  }
  return export.has_damage ? TW_EXIT_REJECTED : TW_EXIT_DONE;
}
