/// spool_verify.c: reads everything in a spool, and tells what is wrong.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/exit.h"
#include "app/spool_command.h"
#include "delivery/position.h"
#include "delivery/spool_keys.h"
#include "event/text.h"

typedef struct tw_verification {
  tw_spool_tool *tool;
  tw_builder *json; ///< with an open array of problems
  uint64_t problems, records;
  tw_spool_table table;
  /* the outbox under way */
  const tw_outbox_record *outbox;
  const char *path;
  size_t path_len;
  uint64_t at, events, chunks;
} tw_verification;

static void problem(tw_verification *verification, const char *format, ...) TW_PRINTF(2, 3);

static void problem(tw_verification *verification, const char *format, ...) {
  char line[700];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (len < 0 || (size_t)len >= sizeof line) len = sizeof line - 1;
  verification->problems++;
  if (!verification->tool->options->json)
    tw_term_complain(verification->tool->term, "%s: %s", verification->tool->command, line);
  if (tw_utf8_check(line, (size_t)len) == (size_t)len)
    tw_builder_string(verification->json, line, (size_t)len);
  else tw_builder_string(verification->json, "a damaged record", 16);
}

/* ------------------------------------------------------------------- outboxes */

static void check_chunk(tw_verification *verification, uint64_t key, const tw_chunk *chunk) {
  uint64_t first = tw_chunk_first(chunk);
  uint64_t end = tw_chunk_item_number(chunk, tw_chunk_count(chunk));
  const tw_outbox_record *outbox = verification->outbox;
  if (first != key)
    problem(verification, "%.*s: the chunk at number %llu says it begins at %llu",
            (int)verification->path_len, verification->path, (unsigned long long)key,
            (unsigned long long)first);
  if (first < verification->at && verification->chunks)
    problem(verification, "%.*s: the chunk from number %llu on overlaps the one before",
            (int)verification->path_len, verification->path, (unsigned long long)first);
  if (end > outbox->tail)
    problem(verification, "%.*s: the chunk from number %llu on goes beyond the outbox's end",
            (int)verification->path_len, verification->path, (unsigned long long)first);
  verification->at = end;
  verification->events += tw_chunk_count(chunk) - tw_chunk_find(chunk, outbox->head);
}

/* @return whether there was one */
static bool next_chunk(tw_verification *verification, uint64_t *number) {
  unsigned char from[TW_CHUNK_KEY_LEN];
  tw_spool_record record;
  tw_chunk *chunk = NULL;
  uint32_t id;
  tw_error *error = &verification->tool->error;
  tw_chunk_key_write(from, verification->outbox->id, *number);
  tw_status status =
      tw_spool_seek(verification->tool->txn, TW_SPOOL_CHUNK, from, sizeof from, &record, error);
  if (!record.key || !tw_chunk_key_read(record.key, record.key_len, &id, number) ||
      id != verification->outbox->id)
    return false;
  verification->records++;
  if (!status) status = tw_chunk_read(record.value, record.len, &chunk, error);
  if (status)
    problem(verification, "%.*s: the chunk of events from number %llu on: %s",
            (int)verification->path_len, verification->path, (unsigned long long)*number,
            error->message);
  else check_chunk(verification, *number, chunk);
  verification->chunks++;
  tw_chunk_unref(chunk);
  return *number < UINT64_MAX;
}

static void check_outbox(tw_verification *verification, const tw_spool_record *record,
                         const tw_outbox_record *outbox) {
  verification->outbox = outbox;
  verification->path = record->key;
  verification->path_len = record->key_len;
  verification->at = verification->events = verification->chunks = 0;
  for (uint64_t number = 0; next_chunk(verification, &number); number++) continue;
  if (verification->events != outbox->events)
    problem(verification, "%.*s: %llu events are there, %llu should wait", (int)record->key_len,
            (const char *)record->key, (unsigned long long)verification->events,
            (unsigned long long)outbox->events);
}

/* --------------------------------------------------------------------- tables */

static const char *const tables[] = {"about", "outbox", "chunk", "source",
                                     "state", "dead",   "replay"};

/* What a record's value must be, besides being what was stored. */
static tw_status check_value(tw_verification *verification, const tw_spool_record *record,
                             tw_error *error) {
  tw_position position;
  tw_chunk *chunk;
  tw_outbox_record outbox;
  switch (verification->table) {
    case TW_SPOOL_OUTBOX:
      if (!tw_outbox_record_read(record->value, record->len, &outbox))
        return tw_fail(error, TW_EIO, "it is no outbox");
      check_outbox(verification, record, &outbox);
      return TW_OK;
    case TW_SPOOL_SOURCE: {
      tw_status status = tw_position_read(record->value, record->len, &position, error);
      if (!status) tw_position_fini(&position);
      return status;
    }
    case TW_SPOOL_DEAD:
    case TW_SPOOL_REPLAY: {
      tw_status status = tw_chunk_read(record->value, record->len, &chunk, error);
      tw_chunk_unref(chunk);
      return status;
    }
    case TW_SPOOL_ABOUT:
    case TW_SPOOL_CHUNK:
    case TW_SPOOL_STATE:
    case TW_SPOOL_TABLES: break;
  }
  return TW_OK;
}

static tw_status visit(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_verification *verification = self;
  tw_error error;
  verification->records++;
  if (damage) {
    problem(verification, "%s %.*s: %s", tables[verification->table],
            (int)strnlen(record->key, record->key_len), (const char *)record->key,
            damage->message);
    return TW_OK;
  }
  tw_status status = check_value(verification, record, &error);
  if (status == TW_ENOMEM) return status;
  if (status)
    problem(verification, "%s %.*s: %s", tables[verification->table],
            (int)strnlen(record->key, record->key_len), (const char *)record->key,
            error.message);
  return TW_OK;
}

static tw_status check_tables(tw_verification *verification) {
  tw_spool_tool *tool = verification->tool;
  tw_status status = TW_OK;
  for (int table = TW_SPOOL_ABOUT; !status && table < TW_SPOOL_TABLES; table++) {
    verification->table = (tw_spool_table)table;
    if (table != TW_SPOOL_CHUNK) // read with their outboxes
      status = tw_spool_each(tool->txn, verification->table, visit, verification, &tool->error);
  }
  return status;
}

/* ---------------------------------------------------------------------- whole */

/// The pages, as far as they lead to values. The snapshot's meta page may be written over
/// before it is looked at: then again with a newer one.
static tw_status check_pages(tw_spool_tool *tool, tw_check_result *result) {
  tw_status status = TW_ENOENT;
  for (int i = 0; i < 100 && status == TW_ENOENT; i++) {
    status = tw_spool_check(tool->txn, result, &tool->error);
    if (status != TW_ENOENT) return status;
    tw_spool_abort(tool->txn);
    status = tw_spool_begin(tool->spool, false, &tool->txn, &tool->error);
    if (status) return status;
    status = TW_ENOENT;
  }
  return status;
}

static int print(const tw_verification *verification, const tw_check_result *result) {
  const char *text;
  size_t len;
  tw_builder *json = verification->json;
  const tw_spool_args *options = verification->tool->options;
  tw_builder_end_array(json);
  tw_builder_key(json, "records");
  tw_builder_integer(json, (int64_t)verification->records);
  tw_builder_key(json, "transaction");
  tw_builder_integer(json, (int64_t)result->txnid);
  tw_builder_key(json, "pages");
  tw_builder_pack(json, "{all:%llu, used:%llu, free:%llu, lost:%llu}",
                  (unsigned long long)result->pages, (unsigned long long)result->used,
                  (unsigned long long)result->free, (unsigned long long)result->lost);
  tw_builder_end_object(json);
  if (options->json && !tw_builder_text(json, &text, &len, NULL))
    printf("%.*s\n", (int)len, text);
  else if (!options->json && !options->quiet && !verification->problems)
    printf("%s is sound: %llu records\n", verification->tool->folder,
           (unsigned long long)verification->records);
  return fflush(stdout)           ? TW_EXIT_OUTPUT
         : verification->problems ? TW_EXIT_REJECTED
                                  : TW_EXIT_DONE;
}

/// Damaged pages end it: LMDB is not let at them.
static int verify(tw_verification *verification) {
  tw_check_result result = {0};
  tw_spool_tool *tool = verification->tool;
  tw_builder_begin_object(verification->json);
  tw_builder_key(verification->json, "problems");
  tw_builder_begin_array(verification->json);
  tw_status status = check_pages(tool, &result);
  if (!status) status = check_tables(verification);
  if (status) return tw_spool_explain(tool, status);
  if (result.records > verification->records)
    problem(verification, "%llu chunks belong to no outbox",
            (unsigned long long)(result.records - verification->records));
  return print(verification, &result);
}

int tw_spool_verify(tw_spool_tool *tool) {
  tw_verification verification = {.tool = tool, .json = tw_builder_new()};
  int result = verification.json ? verify(&verification)
                                 : tw_spool_explain(tool, tw_no_memory(&tool->error));
  tw_builder_free(verification.json);
  return result;
}
