/// spool_walk.h: reads what can be read of a damaged file.
#ifndef TW_DELIVERY_SPOOL_WALK_H
#define TW_DELIVERY_SPOOL_WALK_H

#include "delivery/spool.h"
#include "delivery/spool_pages.h"

typedef struct tw_walk tw_walk;

/// What was found in a leaf.
typedef struct tw_found {
  tw_spool_table table;
  bool has_key;           ///< table and key are right, by their mark
  bool is_whole;          ///< and so is the value
  tw_spool_record record; ///< borrowed for the call; as far as it could be read
} tw_found;

/// @return TW_OK to go on
typedef tw_status (*tw_walk_fn)(void *self, const tw_found *found);

struct tw_walk {
  tw_pages pages;
  tw_meta metas[2];
  bool is_whole[2];    ///< of the metas
  unsigned newest;     ///< which of them counts; only if one is whole
  unsigned char *seen; ///< a bit for each page of the file that was walked over; owned
  uint64_t damaged;    ///< pages that were to be read and could not
  tw_walk_fn visit;
  void *self;
};

/// @param failed  as of tw_check_file
/// @return TW_OK whatever is damaged; TW_ENOMEM
tw_status tw_walk_open(int fd, const char *folder, uint64_t failed, tw_walk *out,
                       tw_error *error);
void tw_walk_close(tw_walk *walk);
/// Visits what the tree of a meta page leads to, pages that were seen before left out.
tw_status tw_walk_tree(tw_walk *walk, const tw_tree *tree);
/// Visits what is in leaf pages that were not seen: of older transactions, of some that were
/// never finished, or cut off from their tree.
tw_status tw_walk_rest(tw_walk *walk);

#endif
