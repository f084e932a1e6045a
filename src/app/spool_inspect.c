/// spool_inspect.c: what a spool holds.
///
/// Everything is gathered as JSON, which --json prints as it is; otherwise it is shown from
/// there.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/exit.h"
#include "app/reply.h"
#include "app/spool_command.h"
#include "base/clock.h"
#include "delivery/position.h"
#include "delivery/spool_keys.h"
#include "event/text.h"

typedef struct tw_inspection {
  tw_spool_tool *tool;
  tw_builder *json;
  int64_t now_us;
  uint64_t events, bytes; ///< of the chunks of a table
  uint64_t damaged;       ///< records
} tw_inspection;

/* ------------------------------------------------------------------- gather */

static void integer(tw_builder *json, const char *key, uint64_t value) {
  tw_builder_key(json, key);
  tw_builder_integer(json, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

/// Bytes that are no UTF-8 are shown as '?'.
static void text(tw_builder *json, const char *key, const void *bytes, size_t len) {
  tw_buffer clean = {0};
  tw_builder_key(json, key);
  if (tw_utf8_check(bytes, len) == len) {
    tw_builder_string(json, bytes, len);
    return;
  }
  for (size_t i = 0; i < len; i++) {
    char byte = ((const char *)bytes)[i];
    if (!tw_buffer_append(&clean, byte >= 0x20 && byte < 0x7f ? &byte : "?", 1)) break;
  }
  tw_builder_string(json, clean.data ? clean.data : "", clean.len);
  tw_buffer_fini(&clean);
}

/// The first chunk of an outbox has its oldest event.
static void oldest(tw_inspection *inspection, uint32_t id) {
  unsigned char from[TW_CHUNK_KEY_LEN];
  char stamp[TW_RFC3339_LEN];
  tw_spool_record record;
  tw_chunk *chunk;
  uint32_t found;
  uint64_t first;
  tw_error *error = &inspection->tool->error;
  tw_chunk_key_write(from, id, 0);
  if (tw_spool_seek(inspection->tool->txn, TW_SPOOL_CHUNK, from, sizeof from, &record, error) ||
      !tw_chunk_key_read(record.key, record.key_len, &found, &first) || found != id ||
      tw_chunk_read(record.value, record.len, &chunk, error))
    return;
  tw_rfc3339(tw_chunk_time(chunk), stamp);
  tw_builder_key(inspection->json, "oldest");
  tw_builder_string(inspection->json, stamp, sizeof stamp);
  tw_builder_key(inspection->json, "age");
  tw_builder_number(inspection->json,
                    round((double)(inspection->now_us - tw_chunk_time(chunk)) / 1000) / 1000);
  tw_chunk_unref(chunk);
}

static tw_status outbox(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_inspection *inspection = self;
  tw_builder *json = inspection->json;
  tw_outbox_record outbox;
  if (damage || !tw_outbox_record_read(record->value, record->len, &outbox)) {
    inspection->damaged++;
    return TW_OK;
  }
  tw_builder_begin_object(json);
  text(json, "path", record->key, record->key_len);
  integer(json, "id", outbox.id);
  integer(json, "events", outbox.events);
  integer(json, "bytes", outbox.bytes);
  integer(json, "head", outbox.head);
  integer(json, "tail", outbox.tail);
  if (outbox.events) oldest(inspection, outbox.id);
  tw_builder_end_object(json);
  return TW_OK;
}

static tw_status source(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_inspection *inspection = self;
  tw_builder *json = inspection->json;
  tw_position position;
  uint64_t device, inode;
  size_t len;
  if (damage || !tw_source_key_read(record->key, record->key_len, &len, &device, &inode) ||
      tw_position_read(record->value, record->len, &position, NULL)) {
    inspection->damaged++;
    return TW_OK;
  }
  tw_builder_begin_object(json);
  text(json, "name", record->key, len);
  integer(json, "device", device);
  integer(json, "inode", inode);
  integer(json, "offset", position.offset);
  integer(json, "line", position.line);
  integer(json, "ranges", position.count);
  tw_builder_end_object(json);
  tw_position_fini(&position);
  return TW_OK;
}

static tw_status state(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_inspection *inspection = self;
  unsigned worker, workers;
  if (damage || !tw_state_key_read(record->key, record->key_len, &worker, &workers)) {
    inspection->damaged++;
    return TW_OK;
  }
  tw_builder_begin_object(inspection->json);
  integer(inspection->json, "worker", worker);
  integer(inspection->json, "workers", workers);
  integer(inspection->json, "bytes", record->len);
  tw_builder_end_object(inspection->json);
  return TW_OK;
}

static tw_status count(void *self, const tw_spool_record *record, const tw_error *damage) {
  tw_inspection *inspection = self;
  tw_chunk *chunk;
  tw_status status = tw_spool_read_chunk(record, damage, &chunk, NULL);
  if (status == TW_ENOMEM) return status;
  if (status) {
    inspection->damaged++;
    return TW_OK;
  }
  inspection->events += tw_chunk_count(chunk);
  inspection->bytes += tw_chunk_text_len(chunk);
  tw_chunk_unref(chunk);
  return TW_OK;
}

static tw_status list(tw_inspection *inspection, const char *key, tw_spool_table table,
                      tw_spool_visit_fn visit) {
  tw_spool_tool *tool = inspection->tool;
  tw_builder_key(inspection->json, key);
  tw_builder_begin_array(inspection->json);
  tw_status status = tw_spool_each(tool->txn, table, visit, inspection, &tool->error);
  tw_builder_end_array(inspection->json);
  return status;
}

static tw_status sum(tw_inspection *inspection, const char *key, tw_spool_table table) {
  tw_spool_tool *tool = inspection->tool;
  inspection->events = inspection->bytes = 0;
  tw_status status = tw_spool_each(tool->txn, table, count, inspection, &tool->error);
  tw_builder_key(inspection->json, key);
  tw_builder_begin_object(inspection->json);
  integer(inspection->json, "events", inspection->events);
  integer(inspection->json, "bytes", inspection->bytes);
  tw_builder_end_object(inspection->json);
  return status;
}

static tw_status facts(tw_inspection *inspection) {
  tw_spool_facts facts;
  tw_builder *json = inspection->json;
  tw_status status =
      tw_spool_get_facts(inspection->tool->txn, &facts, &inspection->tool->error);
  text(json, "folder", inspection->tool->folder, strlen(inspection->tool->folder));
  integer(json, "version", TW_SPOOL_VERSION);
  integer(json, "transaction", facts.txnid);
  tw_builder_key(json, "owner");
  if (facts.owner.lives) tw_builder_integer(json, facts.owner.process);
  else tw_builder_null(json);
  integer(json, "file_bytes", facts.file_bytes);
  integer(json, "used_bytes", facts.used_bytes);
  integer(json, "bound_bytes", facts.map_bytes);
  return status;
}

static tw_status gather(tw_inspection *inspection) {
  tw_builder_begin_object(inspection->json);
  tw_status status = facts(inspection);
  if (!status) status = list(inspection, "outboxes", TW_SPOOL_OUTBOX, outbox);
  if (!status) status = list(inspection, "sources", TW_SPOOL_SOURCE, source);
  if (!status) status = list(inspection, "states", TW_SPOOL_STATE, state);
  if (!status) status = sum(inspection, "dead", TW_SPOOL_DEAD);
  if (!status) status = sum(inspection, "replays", TW_SPOOL_REPLAY);
  integer(inspection->json, "damaged", inspection->damaged);
  tw_builder_end_object(inspection->json);
  return status;
}

/* --------------------------------------------------------------------- show */

static const char *member(const char *table, size_t index, const char *key, char path[64]) {
  snprintf(path, 64, "%s[%zu].%s", table, index, key);
  return path;
}

static void cell(tw_buffer *out, uint64_t value) {
  char text[TW_GROUPED_ROOM];
  tw_buffer_printf(out, "%16s", tw_grouped(value, text));
}

static void name_cell(tw_buffer *out, const char *name) {
  size_t from = out->len;
  tw_buffer_append(out, "  ", 2);
  tw_term_clean(out, name);
  int missing = 26 - (int)(out->len - from);
  if (missing > 0) tw_buffer_printf(out, "%*s", missing, "");
}

static void show_outboxes(tw_event *found, tw_buffer *out) {
  char path[64];
  tw_value value;
  for (size_t i = 0; !tw_event_get(found, member("outboxes", i, "path", path), &value); i++) {
    if (!i)
      tw_buffer_printf(out, "%-26s%16s%16s%16s%16s  oldest\n", "outbox", "events", "bytes",
                       "head", "tail");
    name_cell(out, value.string);
    cell(out, tw_reply_count(found, member("outboxes", i, "events", path)));
    cell(out, tw_reply_count(found, member("outboxes", i, "bytes", path)));
    cell(out, tw_reply_count(found, member("outboxes", i, "head", path)));
    cell(out, tw_reply_count(found, member("outboxes", i, "tail", path)));
    tw_buffer_printf(out, "  %s", tw_reply_text(found, member("outboxes", i, "oldest", path)));
    if (!tw_event_get(found, member("outboxes", i, "age", path), &value))
      tw_buffer_printf(out, " (%.0f s ago)", value.number);
    tw_buffer_byte(out, '\n');
  }
}

static void show_sources(tw_event *found, tw_buffer *out) {
  char path[64];
  tw_value value;
  for (size_t i = 0; !tw_event_get(found, member("sources", i, "name", path), &value); i++) {
    if (!i) tw_buffer_printf(out, "%-26s%16s%16s%16s\n", "source", "offset", "line", "inode");
    name_cell(out, value.string);
    cell(out, tw_reply_count(found, member("sources", i, "offset", path)));
    cell(out, tw_reply_count(found, member("sources", i, "line", path)));
    cell(out, tw_reply_count(found, member("sources", i, "inode", path)));
    tw_buffer_byte(out, '\n');
  }
}

static void show_states(tw_event *found, tw_buffer *out) {
  char path[64], name[64];
  tw_value value;
  for (size_t i = 0; !tw_event_get(found, member("states", i, "worker", path), &value); i++) {
    if (!i) tw_buffer_printf(out, "%-26s%16s\n", "state", "bytes");
    snprintf(name, sizeof name, "worker %lld of %llu", (long long)value.integer + 1,
             (unsigned long long)tw_reply_count(found, member("states", i, "workers", path)));
    name_cell(out, name);
    cell(out, tw_reply_count(found, member("states", i, "bytes", path)));
    tw_buffer_byte(out, '\n');
  }
}

static void show_sum(tw_event *found, tw_buffer *out, const char *key, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "%s.events", key);
  name_cell(out, name);
  cell(out, tw_reply_count(found, path));
  snprintf(path, sizeof path, "%s.bytes", key);
  cell(out, tw_reply_count(found, path));
  tw_buffer_byte(out, '\n');
}

static void heading(tw_event *found, tw_buffer *out) {
  char used[TW_GROUPED_ROOM], file[TW_GROUPED_ROOM], bound[TW_GROUPED_ROOM];
  uint64_t owner = tw_reply_count(found, "owner");
  tw_term_clean(out, tw_reply_text(found, "folder"));
  tw_buffer_printf(out, ": transaction %llu, ",
                   (unsigned long long)tw_reply_count(found, "transaction"));
  if (owner) tw_buffer_printf(out, "in use by process %llu\n", (unsigned long long)owner);
  else tw_buffer_printf(out, "not in use\n");
  tw_buffer_printf(out, "%s bytes in use, in a file of %s bytes that may grow to %s\n",
                   tw_grouped(tw_reply_count(found, "used_bytes"), used),
                   tw_grouped(tw_reply_count(found, "file_bytes"), file),
                   tw_grouped(tw_reply_count(found, "bound_bytes"), bound));
}

static void show(tw_event *found, tw_buffer *out) {
  uint64_t damaged = tw_reply_count(found, "damaged");
  heading(found, out);
  show_outboxes(found, out);
  show_sources(found, out);
  show_states(found, out);
  show_sum(found, out, "dead", "dead letters");
  show_sum(found, out, "replays", "to be replayed");
  if (damaged)
    tw_buffer_printf(out, "%llu records are damaged: see tidewire spool verify\n",
                     (unsigned long long)damaged);
}

static int print(const char *text, size_t len, const char *end) {
  fwrite(text, 1, len, stdout);
  fputs(end, stdout);
  return fflush(stdout) || ferror(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

static int show_json(tw_spool_tool *tool, const char *json, size_t len) {
  static const tw_limits limits = {.max_size = (size_t)32 << 20};
  tw_event *found;
  tw_buffer out = {0};
  if (tool->options->json) return print(json, len, "\n");
  tw_status status = tw_event_parse(json, len, &limits, &found, &tool->error);
  if (status) return tw_spool_explain(tool, status);
  show(found, &out);
  int result = print(out.data, out.len, "");
  tw_buffer_fini(&out);
  tw_event_free(found);
  return result;
}

int tw_spool_inspect(tw_spool_tool *tool) {
  const char *json;
  size_t len;
  tw_inspection inspection = {
      .tool = tool, .json = tw_builder_new(), .now_us = tw_clock_utc_us()};
  tw_status status = inspection.json ? gather(&inspection) : tw_no_memory(&tool->error);
  if (!status) status = tw_builder_text(inspection.json, &json, &len, &tool->error);
  int result = status ? tw_spool_explain(tool, status) : show_json(tool, json, len);
  tw_builder_free(inspection.json);
  if (!result && inspection.damaged) result = TW_EXIT_REJECTED;
  return result;
}
