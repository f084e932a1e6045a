/// chunk.h: events that lie together, on their way through an outbox.
///
/// A chunk is one block of memory in the form in which a spool stores it:
///
///     header | texts: lines of JSON, each with a newline | items | ids
///
/// (chunk_form.h has it byte by byte). An id that stands in its text is not stored again.
/// So a backend that writes lines writes them as they lie here, `export` copies them, and what
/// is left of a damaged chunk can still be read. Numbers are little-endian; the checksum (XXH3
/// of 64 bits) covers everything but itself. A chunk that is finished never changes; any thread
/// may hold a reference.
///
/// The events of an outbox are numbered from 0 without a gap. A chunk knows the number of its
/// first one.
#ifndef TW_DELIVERY_CHUNK_H
#define TW_DELIVERY_CHUNK_H

#include "base/buffer.h"
#include "core/batch.h"

/// A chunk is finished when it has grown to this many bytes of text.
#define TW_CHUNK_BYTES ((size_t)256 << 10)

typedef struct tw_chunk tw_chunk;

/* ------------------------------------------------------------------- build */

/// Gathers events for one outbox. Starts zeroed; belongs to one thread.
typedef struct tw_chunk_builder {
  tw_buffer text, items, ids;
  uint32_t count;
  uint32_t low, high; ///< of them, by priority
} tw_chunk_builder;

void tw_chunk_builder_fini(tw_chunk_builder *builder);
/// Appends an event: its text, on one line, its id and its priority. Unchanged on failure.
/// @return TW_OK, TW_ENOMEM; TW_ELIMIT when the texts would be 2 GiB long
tw_status tw_chunk_builder_add(tw_chunk_builder *builder, const tw_event *event,
                               tw_error *error);
/// The same from text, which is copied. @param json  one JSON object without a newline
/// @param id  TW_ELIMIT from TW_ID_MAX bytes on
tw_status tw_chunk_builder_add_text(tw_chunk_builder *builder, const char *json, size_t len,
                                    const char *id, size_t id_len, int priority,
                                    tw_error *error);
/// Makes a chunk of what was gathered and empties the builder, which keeps its memory.
/// @param generation  of the script that routed them; 0: none
/// @param time_us  when, microseconds since 1970
/// @param[out] out  a reference; NULL on failure: then the builder is as it was
/// @return TW_OK, TW_ENOMEM, TW_EINVAL when nothing was gathered
tw_status tw_chunk_finish(tw_chunk_builder *builder, uint64_t generation, int64_t time_us,
                          tw_chunk **out, tw_error *error);

/* -------------------------------------------------------------------- read */

tw_chunk *tw_chunk_ref(tw_chunk *chunk);
void tw_chunk_unref(tw_chunk *chunk); ///< NULL is allowed

/// Numbers its events, before anybody else has it.
void tw_chunk_number(tw_chunk *chunk, uint64_t first);
/// Its stored form, borrowed. After tw_chunk_number. The first call makes the checksum.
void tw_chunk_bytes(const tw_chunk *chunk, const char **data, size_t *size);
/// Checks a stored form and takes a copy of it.
/// @return TW_OK; TW_EIO when it is damaged, the message says where; TW_ENOMEM
tw_status tw_chunk_read(const char *data, size_t size, tw_chunk **out, tw_error *error);
/// Salvages what can be read of a damaged one: calls `line` for each text that is JSON still,
/// in their order. One whose bytes have changed so that they are JSON by chance is among them.
typedef void (*tw_chunk_line_fn)(void *self, const char *json, size_t len);
void tw_chunk_salvage(const char *data, size_t size, tw_chunk_line_fn line, void *self);

uint64_t tw_chunk_first(const tw_chunk *chunk);
uint32_t tw_chunk_count(const tw_chunk *chunk);
size_t tw_chunk_text_len(const tw_chunk *chunk); ///< bytes of the texts
size_t tw_chunk_size(const tw_chunk *chunk);     ///< bytes of its stored form
uint64_t tw_chunk_generation(const tw_chunk *chunk);
int64_t tw_chunk_time(const tw_chunk *chunk);
/// @return how many of its events have this priority
uint32_t tw_chunk_at_priority(const tw_chunk *chunk, int priority);
/// Event `index` of it, from 0. Borrowed from the chunk.
void tw_chunk_item(const tw_chunk *chunk, uint32_t index, tw_batch_item *out);
/// A copy that lacks the events of this priority or a lower one; the numbers of the others
/// stay, and tw_chunk_first is that of the first which is left. NULL in `out` when none is. A
/// chunk may so have gaps between its numbers: tw_chunk_item_number and tw_chunk_find know
/// them.
tw_status tw_chunk_without(const tw_chunk *chunk, int priority, tw_chunk **out,
                           tw_error *error);
/// The number of event `index`, and one more than that of the last for `index` == count.
uint64_t tw_chunk_item_number(const tw_chunk *chunk, uint32_t index);
/// @return the index of the first event whose number is at least this; the count when none is
uint32_t tw_chunk_find(const tw_chunk *chunk, uint64_t number);

#endif
