/* What a commit gathers. Lists grow by doubling; what cannot be added leaves the list as it
   was. */
#include <string.h>

#include "base/alloc.h"
#include "delivery/journal.h"

/* @return the list with room for one more, NULL without memory */
static void *reserve(void *list, size_t count, size_t *cap, size_t size) {
  if (count < *cap) return list;
  size_t wanted = *cap ? *cap * 2 : 8;
  void *grown = tw_realloc(list, wanted * size);
  if (grown) *cap = wanted;
  return grown;
}

bool tw_commit_reserve(tw_commit *commit) {
  tw_parcel *parcels =
      reserve(commit->parcels, commit->count, &commit->cap, sizeof *commit->parcels);
  if (parcels) commit->parcels = parcels;
  tw_chunk **dead =
      reserve(commit->dead, commit->dead_count, &commit->dead_cap, sizeof(tw_chunk *));
  if (dead) commit->dead = dead;
  return parcels && dead;
}

bool tw_commit_parcel(tw_commit *commit, tw_outbox *outbox, tw_chunk *chunk) {
  tw_parcel *grown =
      reserve(commit->parcels, commit->count, &commit->cap, sizeof *commit->parcels);
  if (!grown) {
    tw_chunk_unref(chunk);
    return false;
  }
  commit->parcels = grown;
  grown[commit->count++] = (tw_parcel){outbox, chunk};
  commit->bytes += tw_chunk_size(chunk);
  return true;
}

bool tw_commit_dead(tw_commit *commit, tw_chunk *chunk) {
  tw_chunk **grown =
      reserve(commit->dead, commit->dead_count, &commit->dead_cap, sizeof(tw_chunk *));
  if (!grown) {
    tw_chunk_unref(chunk);
    return false;
  }
  commit->dead = grown;
  grown[commit->dead_count++] = chunk;
  commit->bytes += tw_chunk_size(chunk);
  return true;
}

bool tw_commit_block(tw_commit *commit, tw_block *block) {
  tw_block **grown =
      reserve(commit->blocks, commit->block_count, &commit->block_cap, sizeof(tw_block *));
  if (!grown) return false;
  commit->blocks = grown;
  tw_block_ref(block, 1);
  grown[commit->block_count++] = block;
  return true;
}

bool tw_commit_state(tw_commit *commit, unsigned worker, unsigned workers, const char *json,
                     size_t len) {
  tw_kept_state *state = tw_malloc(sizeof *state);
  char *copy = tw_memdup(json, len);
  if (!state || !copy) {
    tw_free(state);
    tw_free(copy);
    return false;
  }
  *state = (tw_kept_state){commit->states, worker, workers, copy, len};
  commit->states = state;
  return true;
}

bool tw_commit_replayed(tw_commit *commit, const void *key, size_t len) {
  tw_replayed *replayed = tw_malloc(sizeof *replayed + len);
  if (!replayed) return false;
  replayed->next = commit->replayed;
  replayed->len = len;
  memcpy(replayed->key, key, len);
  commit->replayed = replayed;
  return true;
}

/* ------------------------------------------------------------------- merge */

static void *reserve_more(void *list, size_t count, size_t more, size_t *cap, size_t size) {
  if (count + more <= *cap || !more) return list;
  size_t wanted = count + more + 8;
  void *grown = tw_realloc(list, wanted * size);
  if (grown) *cap = wanted;
  return grown;
}

/* Room for everything first, so that nothing is moved by halves. */
static bool make_room(tw_commit *to, const tw_commit *from) {
  void *parcels =
      reserve_more(to->parcels, to->count, from->count, &to->cap, sizeof *to->parcels);
  if (from->count && !parcels) return false;
  to->parcels = parcels;
  void *dead = reserve_more(to->dead, to->dead_count, from->dead_count, &to->dead_cap,
                            sizeof(tw_chunk *));
  if (from->dead_count && !dead) return false;
  to->dead = dead;
  void *blocks = reserve_more(to->blocks, to->block_count, from->block_count, &to->block_cap,
                              sizeof(tw_block *));
  if (from->block_count && !blocks) return false;
  to->blocks = blocks;
  return true;
}

/* A size of 0 may come with no list at all. */
static void append(void *to, const void *from, size_t count, size_t size) {
  if (count) memcpy(to, from, count * size);
}

bool tw_commit_merge(tw_commit *to, tw_commit *from) {
  if (!make_room(to, from)) return false;
  append(to->parcels + to->count, from->parcels, from->count, sizeof *to->parcels);
  append(to->dead + to->dead_count, from->dead, from->dead_count, sizeof(tw_chunk *));
  append(to->blocks + to->block_count, from->blocks, from->block_count, sizeof(tw_block *));
  to->count += from->count;
  to->dead_count += from->dead_count;
  to->block_count += from->block_count;
  to->bytes += from->bytes;
  tw_kept_state **state = &to->states;
  while (*state) state = &(*state)->next;
  *state = from->states;
  tw_replayed **replayed = &to->replayed;
  while (*replayed) replayed = &(*replayed)->next;
  *replayed = from->replayed;
  from->count = from->dead_count = from->block_count = from->bytes = 0;
  from->states = NULL;
  from->replayed = NULL;
  return true;
}

void tw_commit_fini(tw_commit *commit) {
  for (size_t i = 0; i < commit->count; i++) tw_chunk_unref(commit->parcels[i].chunk);
  for (size_t i = 0; i < commit->dead_count; i++) tw_chunk_unref(commit->dead[i]);
  for (size_t i = 0; i < commit->block_count; i++) tw_block_unref(commit->blocks[i], 1);
  for (tw_kept_state *gone; (gone = commit->states);) {
    commit->states = gone->next;
    tw_free(gone->json);
    tw_free(gone);
  }
  for (tw_replayed *gone; (gone = commit->replayed);) {
    commit->replayed = gone->next;
    tw_free(gone);
  }
  tw_free(commit->parcels);
  tw_free(commit->dead);
  tw_free(commit->blocks);
  commit->parcels = NULL;
  commit->dead = NULL;
  commit->blocks = NULL;
  commit->count = commit->dead_count = commit->block_count = 0;
  commit->cap = commit->dead_cap = commit->block_cap = 0;
}
