/// spool_drop.c: removes what nobody wants any more, in one transaction.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/exit.h"
#include "app/spool_command.h"
#include "delivery/spool_keys.h"

typedef struct tw_drop {
  tw_spool_tool *tool;
  tw_spool_table table;
  uint64_t records; ///< that go
  uint64_t events;  ///< that wait, of outboxes that go
  bool counts;      ///< first everything is counted alone
  uint32_t outbox;  ///< whose chunks go
} tw_drop;

/* ------------------------------------------------------------------- records */

static tw_status drop_record(tw_drop *drop, const tw_spool_record *record) {
  drop->records++;
  if (drop->counts) return TW_OK;
  return tw_spool_delete(drop->tool->txn, drop->table, record->key, record->key_len,
                         &drop->tool->error);
}

static bool begins_with_name(const tw_spool_record *record, const char *name, size_t tail) {
  size_t len = strlen(name);
  return record->key_len == len + tail && memcmp(record->key, name, len) == 0;
}

/// Whether a record of the table under way is meant.
static bool is_meant(const tw_drop *drop, const tw_spool_record *record) {
  const tw_spool_args *args = drop->tool->options;
  uint32_t id;
  uint64_t first;
  if (args->all) return true;
  switch (drop->table) {
    case TW_SPOOL_OUTBOX: return args->backend && begins_with_name(record, args->backend, 0);
    case TW_SPOOL_CHUNK:
      return tw_chunk_key_read(record->key, record->key_len, &id, &first) && id == drop->outbox;
    case TW_SPOOL_REPLAY:
      return args->backend && begins_with_name(record, args->backend, TW_REPLAY_KEY_TAIL);
    case TW_SPOOL_SOURCE:
      return args->source && begins_with_name(record, args->source, TW_SOURCE_KEY_TAIL);
    case TW_SPOOL_STATE: return args->state;
    case TW_SPOOL_ABOUT:
    case TW_SPOOL_DEAD:
    case TW_SPOOL_TABLES: break;
  }
  return false;
}

/// What is damaged can be dropped, too.
static tw_status visit(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_drop *drop = self;
  tw_outbox_record outbox;
  if (!is_meant(drop, record)) return TW_OK;
  if (drop->table == TW_SPOOL_OUTBOX && !damage &&
      tw_outbox_record_read(record->value, record->len, &outbox)) {
    drop->outbox = outbox.id;
    drop->events += outbox.events;
  }
  return drop_record(drop, record);
}

/* The chunks of an outbox lie together: the others are not read. */
static tw_status drop_chunks(tw_drop *drop) {
  unsigned char from[TW_CHUNK_KEY_LEN];
  tw_spool_record record;
  tw_spool_tool *tool = drop->tool;
  uint32_t id;
  uint64_t number = 0;
  tw_status status = TW_OK;
  while (!status) {
    tw_chunk_key_write(from, drop->outbox, number);
    status = tw_spool_seek(tool->txn, TW_SPOOL_CHUNK, from, sizeof from, &record, &tool->error);
    if (status && !record.key) break;
    if (!tw_chunk_key_read(record.key, record.key_len, &id, &number) || id != drop->outbox)
      return TW_OK;
    status = drop_record(drop, &record);
    if (number++ == UINT64_MAX) break;
  }
  return status == TW_ENOENT ? TW_OK : status;
}

static tw_status drop_table(tw_drop *drop, tw_spool_table table) {
  drop->table = table;
  if (table == TW_SPOOL_CHUNK && !drop->tool->options->all)
    return drop->tool->options->backend ? drop_chunks(drop) : TW_OK;
  return tw_spool_each(drop->tool->txn, table, visit, drop, &drop->tool->error);
}

static tw_status drop_tables(tw_drop *drop) {
  tw_status status = TW_OK;
  drop->records = drop->events = 0;
  drop->outbox = UINT32_MAX;
  for (int table = TW_SPOOL_OUTBOX; !status && table < TW_SPOOL_TABLES; table++)
    status = drop_table(drop, (tw_spool_table)table);
  return status;
}

/* ---------------------------------------------------------------------- whole */

/// @return whether it is to be done
static bool ask(const tw_drop *drop, int *result) {
  char answer[8] = "";
  const tw_spool_tool *tool = drop->tool;
  if (tool->options->yes) return true;
  if (!isatty(STDIN_FILENO) || !tool->term->is_terminal) {
    tw_term_complain(tool->term, "%s: nobody can be asked here: say --yes", tool->command);
    *result = TW_EXIT_USAGE;
    return false;
  }
  fprintf(stderr, "drop %llu records with %llu waiting events from %s? [y/N] ",
          (unsigned long long)drop->records, (unsigned long long)drop->events, tool->folder);
  if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y')) return true;
  tw_term_say(tool->term, "nothing was dropped");
  return false;
}

static int commit(tw_drop *drop) {
  tw_spool_tool *tool = drop->tool;
  drop->counts = false;
  tw_status status = drop_tables(drop);
  if (!status) {
    status = tw_spool_commit(tool->txn, &tool->error);
    tool->txn = NULL;
  }
  if (status) return tw_spool_explain(tool, status);
  if (!tool->options->quiet)
    printf("%llu records and %llu waiting events were dropped\n",
           (unsigned long long)drop->records, (unsigned long long)drop->events);
  return fflush(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

int tw_spool_drop(tw_spool_tool *tool) {
  tw_drop drop = {.tool = tool, .counts = true};
  const tw_spool_args *args = tool->options;
  int result = TW_EXIT_DONE;
  if (!args->all && !args->backend && !args->source && !args->state) {
    tw_term_complain(tool->term, "%s: say what: --backend, --source, --state or --all",
                     tool->command);
    return TW_EXIT_USAGE;
  }
  tw_status status = drop_tables(&drop);
  if (status) return tw_spool_explain(tool, status);
  if (!drop.records) {
    tw_fail(&tool->error, TW_ENOENT, "%.256s: there is nothing of that", tool->folder);
    return tw_spool_explain(tool, TW_ENOENT);
  }
  return ask(&drop, &result) ? commit(&drop) : result;
}
