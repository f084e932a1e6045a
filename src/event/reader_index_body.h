/* reader_index_body.h: the body of an index implementation; it is included once by each.
 *
 * The including file defines
 *   TARGET        the function attribute that allows its instructions, may be empty
 *   INDEX_NAME    the name of the function to define
 *   LOWEST(bits)  the number of the lowest bit; anything when there is none
 *   block         64 bytes
 *   block_load(p), block_quotes(b), block_found(b)   masks of a block
 *   block_utf8_left(b, p, non_ascii)   which bytes over 127 are left to check; only with
 *                HAS_UTF8_CHECK
 *   append_marks(out, at, bits)   only with HAS_APPEND_MARKS, else it is made of LOWEST
 *   block_plain(b)   whether it has only plain ASCII: no backslash, no control character
 */

#ifndef HAS_APPEND_MARKS
/* Appends the offset of each bit. Batches are written whole, because a store costs less
   than a branch that is often guessed wrong; only `count` of them stay. */
TARGET static inline uint32_t *append_marks(uint32_t *out, uint32_t at, uint64_t bits) {
  uint32_t *end = out + __builtin_popcountll(bits);
  for (int i = 0; i < TW_INDEX_BATCH; i++) {
    out[i] = at + LOWEST(bits);
    bits &= bits - 1;
  }
  for (out += TW_INDEX_BATCH; out < end; bits &= bits - 1) *out++ = at + LOWEST(bits);
  return end;
}
#endif

/* The last step of a text reads past its end; what it finds there is masked out. */
TARGET static inline uint64_t last_marks(tw_index *index, uint32_t at) {
  block b = block_load(index->text + at);
  tw_index_found found = block_found(b);
  uint64_t valid = ((uint64_t)1 << (index->len - at)) - 1;
  found.quotes = block_quotes(b) & valid;
  found.backslashes &= valid;
  found.controls &= valid;
  found.non_ascii &= valid;
  if (!(found.backslashes | found.controls | found.non_ascii | index->escaping)) {
    index->quotes += (uint32_t)__builtin_popcountll(found.quotes);
    return found.quotes;
  }
  return tw_index_careful(index, at, &found);
}

TARGET static inline uint64_t step_marks(tw_index *index, uint32_t at) {
  block b = block_load(index->text + at);
  uint64_t quotes = block_quotes(b);
  if (__builtin_expect(block_plain(b) && !index->escaping, 1)) {
    index->quotes += (uint32_t)__builtin_popcountll(quotes);
    return quotes;
  }
  tw_index_found found = block_found(b);
  found.quotes = quotes;
#ifdef HAS_UTF8_CHECK
  if (found.non_ascii && at) /* before the text nothing can be read */
    found.non_ascii = block_utf8_left(b, index->text + at, found.non_ascii);
#endif
  return tw_index_careful(index, at, &found);
}

TARGET void INDEX_NAME(tw_index *index) {
  uint32_t *out = index->marks;
  uint32_t at = index->next, len = index->len;
  uint32_t end = len - at > TW_INDEX_WINDOW ? at + TW_INDEX_WINDOW : len;
  for (; end - at >= 64; at += 64) out = append_marks(out, at, step_marks(index, at));
  if (at < end) out = append_marks(out, at, last_marks(index, at));
  out[0] = out[1] = len;
  index->next = end;
}
