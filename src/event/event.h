/// event.h: the inside of an event, for the layers above.
///
/// A *store* holds what the copies of one event share: the text, the nodes, and an arena
/// for new values and edits. An *event* is a small struct over a store: a root, and the
/// edits made so far, which are shared until somebody edits (copy-on-write). A *box* is an
/// edited container: the list of its members as they are now. A container without a box
/// is as in the text.
///
/// A store and all its events belong to one thread at a time.
#ifndef TW_EVENT_EVENT_H
#define TW_EVENT_EVENT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/status.h"
#include "event/node.h"
#include "event/reader.h"

/// An id is at most 255 bytes of the sender's, a slash and a number.
#define TW_ID_MAX 268

/// The id that copies of an event share; made when first asked for.
typedef struct tw_event_id_cell {
  uint16_t len; ///< 0: not made yet
  bool derived; ///< stands also before the event's own id: a piece of a split event
  char text[TW_ID_MAX];
} tw_event_id_cell;

/// What was worked out about a node and is kept until reset; see memo.h.
typedef struct tw_memo tw_memo;
#define TW_MEMO_BUCKETS 64

typedef struct tw_store {
  tw_node *nodes; ///< owned vector; append only until reset
  uint32_t count, cap;
  tw_arena arena;
  size_t spent;      ///< bytes taken from the arena since the reset
  size_t forgiven;   ///< for the layer above, zero after a reset: see script/room.h
  uint32_t refusals; ///< likewise
  uint64_t tokens;   ///< the newest token of a tw_edits
  uint32_t events;   ///< that live over the store
  tw_limits limits;  ///< never zero
  bool has_memos;
  bool is_lent;                    ///< the host may hold texts of the event as it is now
  tw_memo *memos[TW_MEMO_BUCKETS]; ///< by node, in the arena
  tw_buffer scratch;               ///< empty between calls; keeps its memory
  tw_event_id_cell id;             ///< of the first event
} tw_store;

/// A member of an edited container.
typedef struct tw_slot {
  tw_ref key; ///< of an object's member
  tw_ref value;
} tw_slot;

/// Of a box's index.
typedef struct tw_entry {
  tw_ref key; ///< 0: free
  uint32_t place;
} tw_entry;

typedef struct tw_box {
  uint64_t owner; ///< token of the edits that may change it; all others copy it first
  tw_ref node;    ///< the container that it stands for
  bool is_array;
  bool unique;   ///< known to hold no key twice
  uint64_t seen; ///< a bit for each key (tw_key_bit): one that is clear tells "not here"
  uint32_t count, cap;
  tw_slot *slots;   ///< in the arena
  uint32_t front;   ///< slots free before them: left by removals at the front
  uint32_t walks;   ///< linear searches since the index was right; many make it anew
  bool indexed;     ///< the index is right
  tw_entry *index;  ///< hash table; NULL: none yet
  uint32_t mask;    ///< its size - 1
  uint32_t entries; ///< of the table in use
  uint32_t shift;   ///< what to take off an entry's place to have its slot
  uint32_t drift;   ///< how far from there the slot may be
} tw_box;

/// An edited container's JSON text, kept until the next edit.
typedef struct tw_rendered {
  struct tw_rendered *next;
  tw_ref ref;
  const char *text; ///< in the arena, NUL-terminated
  size_t len;
} tw_rendered;

/// The boxes of an event, sorted by node: so also in the order of the text.
typedef struct tw_edits {
  uint32_t refs; ///< events that share it
  uint32_t count, cap;
  tw_box **boxes;        ///< in the arena
  tw_box *recent;        ///< the one of them that was edited last, or NULL
  uint64_t token;        ///< changes for both when a shared one is copied
  uint32_t depth;        ///< the event nests at most this deep
  tw_rendered *rendered; ///< newest first
} tw_edits;

struct tw_event {
  tw_store *store; ///< borrowed, or owned when `owns_store`
  tw_edits *edits; ///< NULL while nothing was edited
  tw_event_id_cell *id;
  tw_ref root;
  bool owns_store; ///< the event was made by tw_event_parse or tw_event_copy
  int8_t priority; ///< a tw_priority; forks and copies begin with it
};

/* ------------------------------------------------------------------- store */

/// A store starts zeroed; init sets its limits. NULL means the defaults.
void tw_store_init(tw_store *store, const tw_limits *limits);
void tw_store_fini(tw_store *store);
/// Forgets all events of the store; keeps memory for the next one.
void tw_store_reset(tw_store *store);

/// Makes an event over text that stays where it is.
/// @param text  one JSON object, `len` bytes and TW_PADDING; borrowed until the next reset
/// @param[out] out  over `store`; ended by tw_event_end
tw_status tw_store_parse(tw_store *store, const char *text, size_t len, tw_event *out,
                         tw_error *error);
/// The same with a copy of the text in the arena.
tw_status tw_store_parse_copy(tw_store *store, const char *text, size_t len, tw_event *out,
                              tw_error *error);

/// The same as tw_store_parse for the text of what was an event before: limits were kept then,
/// and are not looked at again.
tw_status tw_store_parse_again(tw_store *store, const char *text, size_t len, tw_event *out,
                               tw_error *error);

/// Adds a value to the store, to be set into an event. TW_ELIMIT when it alone is longer or
/// deeper than an event may be.
/// @param json  any JSON value, copied into the arena
tw_status tw_store_json(tw_store *store, const char *json, size_t len, tw_ref *out,
                        tw_error *error);
/// Adds a string from its unescaped bytes. TW_EJSON when it is not UTF-8.
tw_status tw_store_string(tw_store *store, const char *bytes, size_t len, tw_ref *out,
                          tw_error *error);
tw_status tw_store_integer(tw_store *store, int64_t value, tw_ref *out, tw_error *error);
/// TW_EINVAL for NaN and infinities.
tw_status tw_store_number(tw_store *store, double value, tw_ref *out, tw_error *error);
/// @param kind  TW_KIND_NULL, TW_KIND_FALSE or TW_KIND_TRUE
tw_status tw_store_word(tw_store *store, tw_kind kind, tw_ref *out, tw_error *error);

/// Adds a key from its unescaped bytes. TW_EJSON when it is not UTF-8.
tw_status tw_store_key(tw_store *store, const char *bytes, size_t len, tw_ref *out,
                       tw_error *error);

static inline const tw_node *tw_store_node(const tw_store *store, tw_ref ref) {
  return store->nodes + ref;
}

/* ------------------------------------------------------------------- event */

/// A copy for another branch: costs nothing until one of them is edited.
/// End it with tw_event_end before the store is reset.
tw_event tw_event_fork(const tw_event *event);
/// Also finishes and frees the store of an event that owns it (a block of tw_malloc).
void tw_event_end(tw_event *event);
/// Whether a host's event carries far more of what was left behind than the event weighs.
bool tw_event_is_bloated(const tw_event *event);
/// Undoes what happened to `event` since `saved` was forked from it; ends `saved`.
void tw_event_restore(tw_event *event, tw_event *saved);
/// A copy of `event`, possibly of another store, in `store`; it keeps the id. Limits were
/// kept when `event` was made, and are not looked at again.
tw_status tw_event_import(tw_store *store, const tw_event *event, tw_event *out,
                          tw_error *error);
/// Works the id out and puts it into the event's cell, as copies will need it.
tw_status tw_event_fix_id(const tw_event *event, tw_error *error);
/// The same as tw_event_id, not NUL-terminated, for who only looks: it lends the host nothing.
/// @param[out] id  in the event's text where it stands there without escapes; borrowed until
///                 the store is reset
tw_status tw_event_peek_id(const tw_event *event, const char **id, size_t *len);
/// Gives an event that was read again the id that it had; it stands or yields to an edit as
/// before. TW_ELIMIT from TW_ID_MAX bytes on.
tw_status tw_event_give_id(tw_event *event, const char *id, size_t len, tw_error *error);
/// Makes the id that the event has now stand whatever becomes of its JSON.
tw_status tw_event_keep_id(tw_event *event, tw_error *error);
/// Gives `piece` number `index` (from 1) of a split event an id of its own, derived from
/// the whole's, when it has the whole's own id or none.
tw_status tw_event_derive_id(tw_event *piece, tw_event *whole, uint32_t index, tw_error *error);

/// The value at `ref` with its edits as JSON text, appended. Members that nobody touched
/// come with their white space; new ones are separated in the style of their container.
/// @return false without memory; nothing is appended then
bool tw_event_render(const tw_event *event, tw_ref ref, tw_buffer *out);
/// The whole event on one line, appended with a newline: white space that is a newline or a
/// carriage return becomes a blank, so the length stays.
/// @return false without memory; nothing is appended then
bool tw_event_render_line(const tw_event *event, tw_buffer *out);
/// Makes JSON text one line in the same way.
void tw_join_lines(char *json, size_t len);
/// The whole event when it was not edited: its text as it was read. NULL otherwise.
static inline const tw_node *tw_event_untouched(const tw_event *event) {
  return event->edits ? NULL : tw_store_node(event->store, event->root);
}

/* ----------------------------------------------------------------- reading */

/// Slow path of tw_event_box.
tw_box *tw_edits_find(const tw_edits *edits, tw_ref container);
/// @return the box of a container, NULL when it was not edited
static inline tw_box *tw_event_box(const tw_event *event, tw_ref container) {
  const tw_edits *edits = event->edits;
  if (!edits) return NULL;
  if (edits->recent && edits->recent->node == container) return edits->recent;
  return tw_edits_find(edits, container);
}
/// @return whether the container is an array now
static inline bool tw_event_is_array(const tw_event *event, tw_ref container) {
  const tw_box *box = tw_event_box(event, container);
  if (box) return box->is_array;
  return tw_node_kind(tw_store_node(event->store, container)) == TW_KIND_ARRAY;
}
/// Finds a member; of equal keys the last. @return false when there is none
bool tw_event_find(const tw_event *event, tw_ref object, const char *key, size_t len,
                   tw_ref *value);
/// Element `index` of an array, from 0. @return false past the end
bool tw_event_at(const tw_event *event, tw_ref array, uint32_t index, tw_ref *value);
/// Members or elements.
uint32_t tw_event_count(const tw_event *event, tw_ref container);

/// Walks a container's members. The container must not be edited meanwhile.
typedef struct tw_cursor {
  const tw_event *event;
  const tw_box *box;  ///< NULL: walk the nodes
  uint32_t next, end; ///< a slot's index, or a node's number
  bool is_array;
  tw_ref key, value; ///< the current member; `key` not for arrays
} tw_cursor;
tw_cursor tw_cursor_begin(const tw_event *event, tw_ref container);
/// @return false after the last member
bool tw_cursor_next(tw_cursor *cursor);

/* ----------------------------------------------------------------- editing */
/* All of these leave the event as it was when they fail. Values are refs of the same
   store that stand nowhere else yet: tw_store_json and its like make them. A value that is
   moved may stand at both places until the older one is overwritten or removed. The event
   can be read again under the limit of depth: TW_ELIMIT for a value that would nest deeper.
   An event that grows past the limit of size by its edits stays whole. */

/// Sets a member, behind the others when it is new. Of equal keys the last, which is the
/// one that is read, gets the value; the others go.
tw_status tw_event_put(tw_event *event, tw_ref object, const char *key, size_t len,
                       tw_ref value, tw_error *error);
/// Removes every member of that key. TW_ENOENT when there is none.
tw_status tw_event_delete(tw_event *event, tw_ref object, const char *key, size_t len,
                          tw_error *error);
/// Sets element `index`; at the array's length it appends; beyond is TW_EINVAL.
/// An empty object becomes an array, unless it is the root.
tw_status tw_event_put_at(tw_event *event, tw_ref array, uint32_t index, tw_ref value,
                          tw_error *error);
/// Removes element `index`; the later ones move down. TW_ENOENT past the end.
tw_status tw_event_delete_at(tw_event *event, tw_ref array, uint32_t index, tw_error *error);
/// Makes a value the whole event. TW_ETYPE unless it is an object.
tw_status tw_event_set_root(tw_event *event, tw_ref value, tw_error *error);

/* ------------------------------------------------------------------ values */

/// A string's or key's bytes: without escapes borrowed from the text, otherwise unescaped
/// into the arena. NULL without memory. A lone surrogate becomes its three bytes as in
/// WTF-8; writing turns them back into the escape.
const char *tw_node_string(tw_store *store, tw_ref ref, size_t *len);

#endif
