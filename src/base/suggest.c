/* suggest.c: the distance of two words is the number of edits between them: insert, delete
 * or replace a letter, or swap two neighbours (Damerau-Levenshtein, no letter edited twice). */
#include "base/suggest.h"

#include <string.h>

/* Longer words are not suggested; names of options are short. */
enum { LONGEST = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Row i of the usual table holds the distances of the first i letters of `a` from every
   beginning of `b`; a row needs only the two before it. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len) {
  size_t rows[3][LONGEST + 1];
  for (size_t j = 0; j <= b_len; j++) rows[0][j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least(row[j], second[j - 2] + 1);
    }
  }
  return rows[a_len % 3][b_len];
}

const char *tw_suggest(const char *word, const char *const *known, size_t count) {
  size_t len = strlen(word);
  if (len > LONGEST) return NULL;
  const char *best = NULL;
  size_t best_distance = len / 3 + 1;
  for (size_t i = 0; i < count; i++) {
    size_t known_len = strlen(known[i]);
    if (known_len > LONGEST) continue;
    size_t edits = distance(word, len, known[i], known_len);
    if (edits < best_distance) {
      best_distance = edits;
      best = known[i];
    }
  }
  return best;
}
