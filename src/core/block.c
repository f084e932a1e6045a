/* The lines of a block and their counts. The memory of one that held a huge line is not kept.
 */
#include "core/block.h"

#include <string.h>

#include "base/alloc.h"
#include "base/wait.h"
#include "event/reader.h"

static const char bom[] = "\xef\xbb\xbf";

/* A free block does not keep more. */
enum { KEEP_BYTES = 1 << 20 };

/* ------------------------------------------------------------------ intake */

void tw_intake_init(tw_intake *intake, const tw_intake_ops *ops, void *self) {
  *intake = (tw_intake){.ops = *ops, .self = self};
  pthread_mutex_init(&intake->mutex, NULL);
  tw_condition_init(&intake->back);
}

static void free_block(tw_block *block) {
  tw_free(block->data);
  tw_free(block);
}

/* One from the own lane, or else from any other. */
static tw_block *pop(tw_intake *intake, unsigned lane) {
  for (unsigned i = 0; i < TW_LANES; i++) {
    tw_block **first = &intake->free[(lane + i) % TW_LANES], *block = *first;
    if (block) *first = block->next;
    if (block) return block;
  }
  return NULL;
}

void tw_intake_fini(tw_intake *intake) {
  for (tw_block *gone; (gone = pop(intake, 0));) free_block(gone);
  pthread_cond_destroy(&intake->back);
  pthread_mutex_destroy(&intake->mutex);
}

tw_block *tw_intake_take(tw_intake *intake) {
  pthread_mutex_lock(&intake->mutex);
  tw_block *block = pop(intake, tw_lane_here());
  if (!block) block = tw_calloc(1, sizeof *block);
  intake->out += block != NULL;
  pthread_mutex_unlock(&intake->mutex);
  if (!block) return NULL;
  char *data = block->data;
  size_t cap = block->cap;
  *block = (tw_block){.intake = intake, .data = data, .cap = cap};
  atomic_init(&block->refs, 1);
  return block;
}

bool tw_intake_wait(tw_intake *intake, unsigned most, int milliseconds) {
  struct timespec end = tw_deadline((uint64_t)(milliseconds < 0 ? 0 : milliseconds) * 1000000);
  int problem = 0;
  pthread_mutex_lock(&intake->mutex);
  while (intake->out > most && !problem)
    problem = milliseconds < 0 ? pthread_cond_wait(&intake->back, &intake->mutex)
                               : pthread_cond_timedwait(&intake->back, &intake->mutex, &end);
  bool is_back = intake->out <= most;
  pthread_mutex_unlock(&intake->mutex);
  return is_back;
}

static void give_back(tw_block *block) {
  tw_intake *intake = block->intake;
  if (block->cap > KEEP_BYTES) {
    tw_free(block->data);
    block->data = NULL;
    block->cap = 0;
  }
  pthread_mutex_lock(&intake->mutex);
  tw_block **first = &intake->free[tw_lane_here()];
  block->next = *first;
  *first = block;
  intake->out--;
  pthread_cond_broadcast(&intake->back);
  pthread_mutex_unlock(&intake->mutex);
}

/* ------------------------------------------------------------------- block */

bool tw_block_reserve(tw_block *block, size_t cap) {
  if (cap > block->cap) {
    char *data = tw_realloc(block->data, cap + TW_PADDING);
    if (!data) return false;
    block->data = data;
    block->cap = cap;
  }
  memset(block->data + block->len, 0, TW_PADDING);
  return true;
}

void tw_block_ref(tw_block *block, unsigned count) {
  atomic_fetch_add_explicit(&block->refs, count, memory_order_relaxed);
}

void tw_block_unref(tw_block *block, unsigned count) {
  if (!block) return;
  if (atomic_fetch_sub_explicit(&block->refs, count, memory_order_acq_rel) != count) return;
  block->intake->ops.done(block->intake->self, block);
  give_back(block);
}

/* ------------------------------------------------------------------- lines */

static void skip_bom(tw_line *line) {
  if (line->len < 3 || memcmp(line->text, bom, 3) != 0) return;
  line->text += 3;
  line->len -= 3;
  line->full -= 3;
  line->offset += 3;
}

bool tw_block_next(tw_block *block, tw_block_at *at, tw_line *line) {
  if (at->start >= block->len) return false;
  char *text = block->data + at->start;
  char *newline = block->full ? NULL : memchr(text, '\n', block->len - at->start);
  size_t len = newline ? (size_t)(newline - text) : block->len - at->start;
  *line = (tw_line){.text = text,
                    .len = len,
                    .number = block->line + at->passed++,
                    .offset = block->offset + at->start,
                    .full = block->full ? block->full : len};
  at->start += len + (newline != NULL);
  if (line->offset == 0) skip_bom(line);
  if (line->full > block->max_line && line->len > TW_LINE_KEPT) line->len = TW_LINE_KEPT;
  line->text[line->len] = 0;
  return true;
}

bool tw_line_is_blank(const tw_line *line) {
  size_t at = 0;
  while (at < line->len && strchr(" \t\r", line->text[at]) && line->text[at]) at++;
  return at == line->len;
}

tw_status tw_line_fit(const tw_block *block, const tw_line *line, tw_error *error) {
  if (line->full <= block->max_line) return TW_OK;
  return tw_fail(error, TW_ELIMIT, "the line has %llu bytes; the limit is %zu (--max-event)",
                 (unsigned long long)line->full, block->max_line);
}

void tw_block_reject(tw_block *block, const tw_line *line, const tw_error *why) {
  block->intake->ops.rejected(block->intake->self, block, line, why);
}

/* ------------------------------------------------------------------- tally */

void tw_tally_add(tw_tally *to, const tw_tally *from) {
  to->lines += from->lines;
  to->blank += from->blank;
  to->read += from->read;
  to->rejected += from->rejected;
  to->routed += from->routed;
  to->dropped += from->dropped;
  to->left += from->left;
  to->bytes += from->bytes;
}

/* Nearly all lines begin with a brace: only the others are looked at for being blank. */
bool tw_tally_line(tw_tally *tally, const tw_line *line) {
  bool is_blank = line->text[0] != '{' && line->full == line->len && tw_line_is_blank(line);
  tally->lines++;
  tally->blank += is_blank;
  tally->read += !is_blank;
  return !is_blank;
}

void tw_block_count(tw_block *block, const tw_tally *tally) {
  pthread_mutex_lock(&block->intake->mutex);
  tw_tally_add(&block->tally, tally);
  pthread_mutex_unlock(&block->intake->mutex);
}

void tw_block_leave(tw_block *block) {
  tw_tally tally = {0};
  tw_block_at at = {0};
  tw_line line;
  while (tw_block_next(block, &at, &line)) tally.left += tw_tally_line(&tally, &line);
  tw_block_count(block, &tally);
}
