/// tidewire.h: the public C API of Tidewire, a Lua-scriptable event router.
///
/// Conventions
/// - A fallible function returns a `tw_status`; results go through `out`,
///   which is NULL on failure; details go into a `tw_error`, which may be NULL.
/// - *owned*: you free it; *borrowed*: valid as long as the comment says;
///   *copied*: yours stays yours; *kept*: the callee frees it, also on failure.
/// - Tables of operations (`tw_…_ops`) are copied. A callback always gets an `error` to write
///   to, and may leave it as it is.
/// - Text is UTF-8 with an explicit length; names and paths are NUL-terminated.
/// - Every fallible function may also return TW_ENOMEM.
/// - `ref` gives what it was given, with one reference more; `unref` gives one back; `unref`
///   and `free` take NULL. Other pointers must not be NULL unless the comment says so.
/// - Trackers, routers, processors, backends, contexts, locators and engines may be used from
///   any thread. An event and a builder belong to one thread at a time.
/// - Times are in milliseconds where a name ends in `_ms`, in seconds in JSON options.
/// - After a fork the child may go on with what it had, if no other thread was inside the
///   library; ids never repeat. Open backends are shared with the parent: let it have them.
#ifndef TIDEWIRE_H
#define TIDEWIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TW_VERSION_MAJOR 0
#define TW_VERSION_MINOR 1
#define TW_VERSION_PATCH 0
#define TW_VERSION       "0.1.0"

#if defined(__GNUC__)
#define TW_API               __attribute__((visibility("default")))
#define TW_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define TW_API
#define TW_PRINTF(at, first)
#endif

/// @return TW_VERSION of the library that is loaded, which may be newer than the header
TW_API const char *tw_version(void);

/* ------------------------------------------------------------------ errors */

typedef enum tw_status {
  TW_OK = 0,
  TW_EINVAL,  ///< an argument or option is wrong
  TW_EJSON,   ///< not RFC 8259 JSON, or not UTF-8
  TW_ELIMIT,  ///< deeper, longer or more than a limit allows
  TW_ENOMEM,  ///< the allocator gave nothing
  TW_ENOENT,  ///< no such field, name, backend or tracker
  TW_EEXIST,  ///< the name is taken
  TW_ETYPE,   ///< the value has another type than the call needs
  TW_EIO,     ///< the world failed: file, disk, database
  TW_ESCRIPT, ///< Lua code failed
  TW_ECLOSED, ///< the object is closed
  /* Of backends that deliver from an outbox; everything else that they fail with is taken to
     pass, and is tried again. */
  TW_EREFUSED, ///< the destination refuses this event, and always will: it is a dead letter
  TW_EDISABLED ///< the destination takes nothing until somebody changes something, such as a
               ///< password: the outbox waits
} tw_status;

/// @return a constant, lower-case word for the status, such as "json"
TW_API const char *tw_status_name(tw_status status);

/// The position of an error that has none.
#define TW_NO_POSITION ((size_t)-1)

typedef struct tw_error {
  tw_status code;
  size_t position;   ///< byte offset into the input, or TW_NO_POSITION
  char message[496]; ///< one line: what, where, and the next step
} tw_error;

/* --------------------------------------------------------------- allocator */

/// Where the library takes its memory from. `realloc` has the meaning of C's;
/// `realloc(self, NULL, n)` allocates, `realloc(self, p, 0)` frees and returns NULL.
typedef struct tw_allocator {
  void *(*realloc)(void *self, void *block, size_t size);
  void *self;
} tw_allocator;

/// Replaces the allocator of the whole process. NULL restores libc's.
/// Call it before any other function and while no object lives; not thread-safe.
TW_API void tw_set_allocator(const tw_allocator *allocator);

/* ------------------------------------------------------------------ events */

/// Default limits of an event that is read: nesting, and bytes of JSON text.
#define TW_MAX_DEPTH 128
#define TW_MAX_EVENT ((size_t)1 << 20)

/// Limits to read with; a zero means the default. Hard bounds: depth 1024, size 32 MiB.
typedef struct tw_limits {
  uint32_t max_depth;
  size_t max_size;
} tw_limits;

/// An event: a JSON object as text with an index, and the edits made to it.
/// What nobody edits is kept byte for byte.
typedef struct tw_event tw_event;

typedef enum tw_type {
  TW_NULL,
  TW_BOOL,
  TW_INTEGER, ///< a number without fraction and exponent that fits int64_t
  TW_NUMBER,  ///< any other number
  TW_STRING,
  TW_ARRAY,
  TW_OBJECT
} tw_type;

/// A value read from an event. The texts are borrowed: valid until the event is
/// edited or freed.
typedef struct tw_value {
  tw_type type;
  bool boolean;       ///< of TW_BOOL
  int64_t integer;    ///< of TW_INTEGER
  double number;      ///< of TW_INTEGER and TW_NUMBER
  const char *string; ///< of TW_STRING: unescaped, NUL-terminated, may hold NULs
  size_t string_len;
  const char *json; ///< of every type: its exact JSON text, not NUL-terminated
  size_t json_len;
} tw_value;

/// Creates an event from JSON text.
///
/// @param json   one JSON object in UTF-8, `len` bytes, copied
/// @param limits may be NULL
/// @param[out] out  owned; free with tw_event_free
/// @return TW_OK, TW_EJSON, TW_ELIMIT or TW_ENOMEM; the error's position is an
///         offset into `json`
TW_API tw_status tw_event_parse(const char *json, size_t len, const tw_limits *limits,
                                tw_event **out, tw_error *error);

/// Copies an event with its edits and its id; the copy may go to another thread.
/// @param[out] out  owned
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_event_copy(const tw_event *event, tw_event **out, tw_error *error);

/// What was borrowed from the event ends with it.
TW_API void tw_event_free(tw_event *event);

/// Reads the value at a path such as `data.items[0].sku`. Indexes count from 0;
/// a key with other characters than letters, digits, `_`, `-`, `$` and `@` is
/// quoted: `data["a.b"]`. Of keys that occur twice, the last is read.
///
/// @param[out] out  zeroed on failure
/// @return TW_OK, TW_ENOENT when nothing is there, TW_EINVAL for a bad path or one with a
///         wildcard, TW_ENOMEM
TW_API tw_status tw_event_get(tw_event *event, const char *path, tw_value *out);

/// Sets the value at a path. Missing objects on the way are made, and a missing array
/// where index 0 follows; an array grows by one when the index is its length. Of keys that
/// occur twice, the last gets the value and the others go. A new member stands behind the
/// others.
///
/// @param json  any JSON value, copied
/// @return TW_OK, TW_EINVAL (a bad path, an index past the end), TW_EJSON, TW_ETYPE (the way
///         leads through a scalar, or a container of the other kind), TW_ELIMIT (the value
///         alone is longer than an event may be, or the event would nest too deep; edits
///         may make the whole longer), TW_ENOMEM; the event is unchanged on failure
TW_API tw_status tw_event_set_json(tw_event *event, const char *path, const char *json,
                                   size_t len, tw_error *error);
/// The same from a value of C. The text of a string is copied and escaped, and is TW_EJSON
/// unless it is UTF-8; a number that is NaN or infinite is TW_EINVAL.
TW_API tw_status tw_event_set_string(tw_event *event, const char *path, const char *text,
                                     size_t len, tw_error *error);
TW_API tw_status tw_event_set_integer(tw_event *event, const char *path, int64_t value,
                                      tw_error *error);
TW_API tw_status tw_event_set_number(tw_event *event, const char *path, double value,
                                     tw_error *error);
TW_API tw_status tw_event_set_bool(tw_event *event, const char *path, bool value,
                                   tw_error *error);
TW_API tw_status tw_event_set_null(tw_event *event, const char *path, tw_error *error);

/// Removes the value at a path, all of them when its key occurs twice; an array closes the
/// gap.
/// @return TW_OK, TW_ENOENT when nothing was there, TW_EINVAL, TW_ENOMEM
TW_API tw_status tw_event_remove(tw_event *event, const char *path, tw_error *error);

/// Replaces the whole event by another JSON object; the id that it has now is kept, whatever
/// `id` the new one holds.
/// @return TW_OK, TW_EJSON, TW_ETYPE (no object), TW_ELIMIT, TW_ENOMEM; the event is
///         unchanged on failure
TW_API tw_status tw_event_replace(tw_event *event, const char *json, size_t len,
                                  tw_error *error);

/// The event as JSON text, NUL-terminated. Borrowed: valid until the event is
/// edited or freed.
/// @param[out] text  NULL without memory
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_event_json(tw_event *event, const char **text, size_t *len);

/// The event's id: its own `id` or `messageId` where that is a string of 1 to 255
/// bytes, otherwise a UUIDv7 (RFC 9562), made when first asked for and not part of
/// the JSON. Copies have the same. Borrowed: valid until the event is edited or freed.
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_event_id(tw_event *event, const char **id, size_t *len);

/// How much an event matters. Where a bound is reached and events have to go, those that matter
/// least go first. It belongs to a branch: a route or processor may change it for what is
/// below.
typedef enum tw_priority {
  TW_PRIORITY_NORMAL = 0,
  TW_PRIORITY_LOW = -1,
  TW_PRIORITY_HIGH = 1
} tw_priority;
TW_API void tw_event_set_priority(tw_event *event, tw_priority priority);
TW_API tw_priority tw_event_priority(const tw_event *event);

/* ----------------------------------------------------------------- builder */

/// Writes a JSON value step by step. The first error sticks: later calls do
/// nothing, and tw_builder_text returns it. Belongs to one thread at a time.
typedef struct tw_builder tw_builder;

/// @return an empty builder, owned; NULL without memory
TW_API tw_builder *tw_builder_new(void);
TW_API void tw_builder_free(tw_builder *builder);
/// Empties it for the next value and forgets its error; keeps its memory.
TW_API void tw_builder_reset(tw_builder *builder);
/// Containers nest; each is ended by its own kind.
TW_API void tw_builder_begin_object(tw_builder *builder);
TW_API void tw_builder_end_object(tw_builder *builder);
TW_API void tw_builder_begin_array(tw_builder *builder);
TW_API void tw_builder_end_array(tw_builder *builder);
/// The next member's key, inside an object. Copied, as all texts are.
TW_API void tw_builder_key(tw_builder *builder, const char *key);
/// The next value: of the key, of the array, or the whole.
TW_API void tw_builder_string(tw_builder *builder, const char *text, size_t len);
TW_API void tw_builder_integer(tw_builder *builder, int64_t value);
TW_API void tw_builder_number(tw_builder *builder, double value);
TW_API void tw_builder_bool(tw_builder *builder, bool value);
TW_API void tw_builder_null(tw_builder *builder);
/// Any JSON value as text, checked.
TW_API void tw_builder_json(tw_builder *builder, const char *json, size_t len);
/// Writes a value by a template of JSON with printf conversions:
/// `{total:%f, user:%s, tags:[%s,%s], ok:true}`. Keys may go without quotes.
/// Conversions, checked by the compiler: `%s` (NULL gives null), `%.*s`, `%d`, `%i`,
/// `%u` with `l`, `ll`, `z`, `j`; `%f` or `%g` (double, exact); `%hhd` (a bool);
/// `%%` inside a quoted text. A key may be `%s` or `%.*s` too. As with printf a text ends at
/// a NUL. An error's position is a byte of the template.
TW_API void tw_builder_pack(tw_builder *builder, const char *format, ...) TW_PRINTF(2, 3);
TW_API void tw_builder_vpack(tw_builder *builder, const char *format, va_list args);
/// The finished value, NUL-terminated. Borrowed: valid until the builder is used again.
/// @return TW_OK; TW_EINVAL when the value is unfinished, a call was out of place, a number
///         is NaN or infinite, or a template malformed; TW_EJSON, TW_ELIMIT (deeper than
///         1024), TW_ENOMEM
TW_API tw_status tw_builder_text(tw_builder *builder, const char **text, size_t *len,
                                 tw_error *error);

/* -------------------------------------------------- processors and backends */

/// What a processor decided.
typedef enum tw_verdict {
  TW_PASS,  ///< go on with the event as edited
  TW_DROP,  ///< the event's way ends in this router; siblings go on
  TW_SPLIT, ///< go on with the events given to tw_split_add, none of them: like TW_DROP
  TW_FAIL   ///< failed: `error` says why, `on_error` decides
} tw_verdict;

/// What becomes of an event whose processor failed.
typedef enum tw_on_error {
  TW_ON_ERROR_PASS,       ///< it goes on as it was before that processor
  TW_ON_ERROR_DROP,       ///< its way in this router ends
  TW_ON_ERROR_DEAD_LETTER ///< the observer's `dead` gets it; without one, as with drop
} tw_on_error;

/// Takes the events that one event becomes; lives for one call of `process`.
typedef struct tw_split tw_split;
/// @param event  copied with its edits; it may be the event that is being processed
/// @return TW_OK; otherwise the processor has failed, whatever it returns
TW_API tw_status tw_split_add(tw_split *split, const tw_event *event);
/// @param json  one JSON object, copied
/// @return as tw_split_add; but TW_EJSON, TW_ETYPE or TW_ELIMIT for the text fail nothing by
///         themselves
TW_API tw_status tw_split_add_json(tw_split *split, const char *json, size_t len,
                                   tw_error *error);

/// A processor. Called from every thread that emits, at the same time.
/// `event` is borrowed for the call; it may be read, edited and replaced.
typedef struct tw_processor_ops {
  tw_verdict (*process)(void *self, tw_event *event, tw_split *split, tw_error *error);
  void (*free)(void *self); ///< the destructor; may be NULL
} tw_processor_ops;

typedef struct tw_processor tw_processor;

/// @param name  for messages, copied; NULL means "processor"
/// @param self  kept: `ops->free(self)` is called when the last reference goes,
///              and when this call fails
/// @param[out] out  owned; hand it to a router or tracker, or tw_processor_unref it
/// @return TW_OK, TW_EINVAL without `process`, TW_ENOMEM
TW_API tw_status tw_processor_new(const char *name, const tw_processor_ops *ops, void *self,
                                  tw_on_error on_error, tw_processor **out, tw_error *error);

/// Creates a processor that ships with Tidewire.
///
/// | kind | options |
/// |---|---|
/// | "allowlist" | `{"names": ["a", "b"]}`: drops events with any other name |
/// | "regex_filter" | `{"allow": ["^edx\\."]}` or `{"deny": […]}`: PCRE2, matched at the start
/// of the name |
///
/// @param options  a JSON object, `len` bytes, copied; NULL means {}
/// @param[out] out  owned
/// @return TW_OK; TW_EINVAL for a bad pattern, an unknown kind or option: the message
///         suggests the nearest; TW_EJSON, TW_ENOMEM
TW_API tw_status tw_processor_new_kind(const char *kind, const char *options, size_t len,
                                       tw_processor **out, tw_error *error);
TW_API tw_processor *tw_processor_ref(tw_processor *processor);
TW_API void tw_processor_unref(tw_processor *processor);

/// Flag of `send`: another event follows at once and a flush comes after the last,
/// so the backend may gather them.
#define TW_MORE 1u

/// Events that come out of an outbox together, in the order of routing. Borrowed for a call,
/// and used by its thread alone.
typedef struct tw_batch tw_batch;
/// @return at least 1
TW_API size_t tw_batch_count(const tw_batch *batch);
/// The JSON text of event `index` (from 0) on one line, not NUL-terminated.
/// Borrowed for the call.
TW_API void tw_batch_json(const tw_batch *batch, size_t index, const char **json, size_t *len);
/// Its id (see tw_event_id), by which a destination can tell what it has already.
/// Borrowed for the call, not NUL-terminated.
TW_API void tw_batch_id(const tw_batch *batch, size_t index, const char **id, size_t *len);
/// The event itself. Borrowed until the next call of this function.
/// @param[out] out  NULL on failure
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_batch_event(tw_batch *batch, size_t index, tw_event **out, tw_error *error);
/// Lines of JSON, each with its newline, as they lie in memory: from event `index` as many as
/// lie together.
/// @param[out] text  borrowed for the call
/// @return how many events that are, at least 1
TW_API size_t tw_batch_lines(const tw_batch *batch, size_t index, const char **text,
                             size_t *len);
/// @return milliseconds until the time-out of the call; -1: there is none
TW_API int tw_batch_time_left(const tw_batch *batch);

/// How far a batch has come.
typedef struct tw_delivered {
  size_t count;       ///< of its events, from the first, that the destination has for good
  bool is_exact;      ///< the error is that of event `count` alone, not of one of the rest
  int retry_after_ms; ///< how long the destination wants to be left alone; 0: it does not say
} tw_delivered;

/// A backend. `send` may be called from several threads at the same time, unless
/// made with TW_SERIAL.
typedef struct tw_backend_ops {
  /// Acquires what it needs; called once, before the first send. May be NULL.
  tw_status (*open)(void *self, tw_error *error);
  /// Delivers one event, borrowed for the call; edits stay in this branch.
  tw_status (*send)(void *self, tw_event *event, unsigned flags, tw_error *error);
  /// Passes on what is gathered. On failure `*lost` is how many events, accepted by
  /// `send` before, are given up; those kept for a later try do not count. May be NULL.
  tw_status (*flush)(void *self, uint64_t *lost, tw_error *error);
  /// Releases what `open` acquired, after a flush. May be NULL.
  void (*close)(void *self);
  /// The destructor. May be NULL.
  void (*free)(void *self);
  /// In place of `flush` where a limit of time matters: for a backend that takes events in
  /// `send` and delivers them later. Waits until what was sent before is delivered. May be
  /// called while others flush. May be NULL: then `flush` is called.
  /// @param timeout_ms  negative: without limit
  /// @param[out] remaining  events that are not delivered, in time
  /// @return TW_OK; TW_ELIMIT when the time was over
  tw_status (*flush_within)(void *self, int timeout_ms, uint64_t *remaining, tw_error *error);
  /// In place of `send` and `flush` when the events come out of an outbox: passes them on in
  /// order, and returns when the destination has them. May be NULL: then each is sent, and a
  /// flush follows. What is reported as not delivered will be delivered again, in the same
  /// order, unless the status says that this is no use. `flush` is called when the outbox has
  /// run empty, for what went wrong at the cost of no event.
  /// @param[out] done  starts zeroed; with TW_OK all are delivered, whatever it says
  /// @return TW_OK; TW_EREFUSED: one of the rest, or exactly the next, is a dead letter;
  ///         TW_EDISABLED; anything else passes
  tw_status (*deliver)(void *self, tw_batch *batch, tw_delivered *done, tw_error *error);
} tw_backend_ops;

/// Flag of tw_backend_new: calls to this backend are made one at a time.
#define TW_SERIAL 1u

typedef struct tw_backend tw_backend;

/// @param self  kept, as with tw_processor_new
/// @param flags TW_SERIAL or 0
/// @param[out] out  owned
/// @return TW_OK, TW_EINVAL without `send`, TW_ENOMEM
TW_API tw_status tw_backend_new(const tw_backend_ops *ops, void *self, unsigned flags,
                                tw_backend **out, tw_error *error);

/// Creates a backend that ships with Tidewire: "file", "stdout", "sqlite", "memory",
/// "null". Its options are checked here, the rest of the world when it is opened.
/// docs/backends.md lists the options.
/// @param options  a JSON object, `len` bytes, copied; NULL means {}
/// @param[out] out  owned
/// @return TW_OK; TW_EINVAL for an unknown kind or option: the message suggests the nearest;
///         TW_EJSON, TW_ENOMEM
TW_API tw_status tw_backend_new_kind(const char *kind, const char *options, size_t len,
                                     tw_backend **out, tw_error *error);
TW_API tw_backend *tw_backend_ref(tw_backend *backend);
/// The last reference closes it: what is gathered is flushed first.
TW_API void tw_backend_unref(tw_backend *backend);

/// What has happened at a backend.
typedef struct tw_backend_stats {
  uint64_t sent;      ///< events accepted and not lost
  uint64_t failed;    ///< events that it did not take, or lost later
  uint64_t duplicate; ///< of `sent`: events it had already
} tw_backend_stats;
/// What is between routing and a backend that has an outbox.
typedef struct tw_outbox_stats {
  uint64_t waiting;       ///< events that are not delivered yet
  uint64_t waiting_bytes; ///< of their text
  uint64_t retries;       ///< calls to the backend that failed and were to be made again
  uint64_t dead;          ///< events that became dead letters
  uint64_t shed;          ///< events that a bound has cost
  uint64_t late;          ///< calls to the backend that took longer than its time-out
  const char *breaker;    ///< "closed": it delivers; "open": it rests; "half-open": it tries
} tw_outbox_stats;

/// Counts since it was made; may be called at any time.
TW_API void tw_backend_get_stats(const tw_backend *backend, tw_backend_stats *out);

/// Events that a "memory" backend holds. TW_ETYPE for another kind.
TW_API tw_status tw_memory_count(tw_backend *backend, size_t *out);
/// Copies event `index` (from 0, in order of arrival) as an event of your own.
/// @param[out] out  owned
/// @return TW_OK, TW_ENOENT past the last, TW_ETYPE for another kind, TW_ENOMEM
TW_API tw_status tw_memory_get(tw_backend *backend, size_t index, tw_event **out);

/* ----------------------------------------------------------------- routers */

/// A router: processors in order, then backends and further routers in ascending
/// order of name; a tree. Changing it while events flow is allowed, also from a
/// callback: the change holds for events that enter later.
typedef struct tw_router tw_router;

/// @param[out] out  owned
TW_API tw_status tw_router_new(tw_router **out, tw_error *error);
TW_API tw_router *tw_router_ref(tw_router *router);
/// The last reference closes and frees it with all that it holds.
TW_API void tw_router_unref(tw_router *router);

/// Appends a processor. @param processor  kept
/// @return TW_OK, TW_EINVAL for NULL, TW_ENOMEM
TW_API tw_status tw_router_add_processor(tw_router *router, tw_processor *processor,
                                         tw_error *error);
/// Hangs a backend below. Of an open router, it is opened first.
/// @param backend  kept
/// @return TW_OK; TW_EEXIST when the name is taken, TW_EINVAL for a name that is empty or
///         holds a '/'
TW_API tw_status tw_router_add_backend(tw_router *router, const char *name, tw_backend *backend,
                                       tw_error *error);
/// Hangs a router below this one. @param child  kept
/// @return as tw_router_add_backend; TW_EINVAL also when it would close a circle
TW_API tw_status tw_router_add_router(tw_router *router, const char *name, tw_router *child,
                                      tw_error *error);

/// The backend or router under a name: exactly one of the two is set. References
/// are owned by the caller.
/// @return TW_OK, or TW_ENOENT with a message that lists the known names
TW_API tw_status tw_router_get(tw_router *router, const char *name, tw_backend **backend,
                               tw_router **child, tw_error *error);

/// Chooses the backends of an event: adds names with tw_targets_add; none added
/// means none. A failure sends the event to every backend, and is told.
typedef struct tw_targets tw_targets;
/// @param name  of a backend or router below, `len` bytes; twice is once
/// @return TW_OK, or TW_ENOENT with a message that suggests the nearest: the route has failed
///         then, whatever it returns
TW_API tw_status tw_targets_add(tw_targets *targets, const char *name, size_t len,
                                tw_error *error);
/// Gives the event another priority for the backends that are chosen; see
/// tw_event_set_priority.
TW_API void tw_targets_priority(tw_targets *targets, tw_priority priority);
typedef struct tw_route_ops {
  tw_status (*route)(void *self, tw_event *event, tw_targets *targets, tw_error *error);
  void (*free)(void *self); ///< may be NULL
} tw_route_ops;
/// Replaces the route; the one before is freed when its last event is through.
/// @param ops  copied. @param self  kept
/// @return TW_OK, TW_EINVAL without `route`, TW_ENOMEM
TW_API tw_status tw_router_set_route(tw_router *router, const tw_route_ops *ops, void *self,
                                     tw_error *error);

/// Opens every backend in the tree that is not open. On failure those that this call
/// opened are closed again; the message names the backend's path.
/// @return TW_OK, also when all are open; what the backend's `open` said; TW_ENOMEM
TW_API tw_status tw_router_open(tw_router *router, tw_error *error);

/// Routes one event. Failures of processors and backends go to the observer, never
/// to the caller.
/// @param event  borrowed, unchanged
/// @param flags  0 or TW_MORE
/// @return TW_OK; TW_ECLOSED before tw_router_open and after tw_router_close; TW_ENOMEM
TW_API tw_status tw_router_send(tw_router *router, const tw_event *event, unsigned flags,
                                tw_error *error);
/// Flushes every backend; tries all of them, and returns the first failure.
TW_API tw_status tw_router_flush(tw_router *router, tw_error *error);
/// The same with a limit of time for backends that deliver later; see tw_flush.
TW_API tw_status tw_router_flush_within(tw_router *router, int timeout_ms, uint64_t *remaining,
                                        tw_error *error);
/// Flushes and closes every backend that no other open router shares. It may be opened again.
/// @return TW_OK, also when it is closed; the first failure of a flush
TW_API tw_status tw_router_close(tw_router *router, tw_error *error);

typedef struct tw_router_stats {
  uint64_t received; ///< events that entered
  uint64_t dropped;  ///< ended by a processor
  uint64_t unrouted; ///< that the route sent to no backend, or that found none here
  uint64_t failed;   ///< failures of processors and of the route
  uint64_t dead;     ///< handed to the observer's `dead`
} tw_router_stats;
/// Counts of this router alone since it was made; may be called at any time.
TW_API void tw_router_get_stats(const tw_router *router, tw_router_stats *out);

/// Visits every backend and router below, in order, depth first.
/// @param path  such as "video/db"; exactly one of backend and child is set, borrowed
typedef void (*tw_visit_fn)(void *self, const char *path, tw_backend *backend,
                            tw_router *child);
TW_API tw_status tw_router_visit(tw_router *router, tw_visit_fn visit, void *self);

/* ---------------------------------------------------------------- observer */

/// Where an event comes from that was read from a source.
typedef struct tw_origin {
  const char *source; ///< the source's name, such as a file's path; borrowed
  uint64_t line;      ///< from 1
  uint64_t offset;    ///< of the line's first byte
} tw_origin;

/// A failure while an event was routed. All pointers are borrowed for the call.
typedef struct tw_failure {
  /// | `where` | what failed |
  /// |---|---|
  /// | `"processor"`, `"route"` | it, with an event |
  /// | `"backend"` | it, with an event; or with a flush, then `event` is NULL |
  /// | `"timer"` | a timer of a script |
  /// | `"close"` | what a script or a processor does before it is closed |
  /// | `"ack"` | a function of Lua's that was told what became of an event |
  /// | `"partition_by"` | the function that gives the key of an event, which takes its turn |
  /// | `"engine"` | the engine had no memory to route an event |
  /// | `"state"` | handing the state of a script over to the next; or the script had to be made
  /// anew, or should be, because its memory is full |
  /// | `"outbox"` | nothing by itself: a backend's breaker has changed (the error's code is
  /// TW_OK when it delivers again), a call is late, or a bound was reached and `events` were
  /// shed |
  /// | `"spool"` | writing it, which is tried again; the code is TW_OK when it is written again
  /// | | `"replay"` | sending dead letters again | | `"watch"` | nothing by itself: the system
  /// does not tell of changes of a script's files, which are looked at once a second instead |
  /// | `"breaker"` | nothing by itself: a function of a script was stopped again and again and
  /// rests from now on; or it runs again, then the error's code is TW_OK |
  const char *where;
  const char *path; ///< the router's or backend's path, "" for the root
  const char *name; ///< the processor's or timer's name, or of the function that rests, or
                    ///< where it stands in the script; NULL otherwise
  tw_event *event;  ///< NULL: none was concerned alone, or there was no memory for it
  uint64_t events;  ///< how many events are concerned
  const tw_error *error;
  const tw_origin *origin; ///< of the event being processed; NULL: it was emitted, or none is
} tw_failure;

/// Called from the thread that emits, at the same time from several.
typedef struct tw_observer {
  void (*failed)(void *self, const tw_failure *failure); ///< may be NULL
  void (*dead)(void *self, const tw_failure *failure);   ///< an event to keep; may be NULL
  void (*free)(void *self);                              ///< may be NULL
} tw_observer;

/// Sets who is told; holds for the tree below unless a router there has its own.
/// Without one, failures are written to standard error: the 1st, 2nd, 4th, 8th … of
/// each router.
/// @param observer copied; NULL restores the default. @param self  kept
TW_API tw_status tw_router_set_observer(tw_router *router, const tw_observer *observer,
                                        void *self, tw_error *error);

/* ---------------------------------------------------- contexts and locators */

/// A stack of named contexts.
typedef struct tw_context tw_context;
/// @return an empty stack, owned; NULL without memory
TW_API tw_context *tw_context_new(void);
TW_API tw_context *tw_context_ref(tw_context *context);
TW_API void tw_context_unref(tw_context *context);
/// Enters a named context. A name that is entered again hides its outer one until exit.
/// @param json  a JSON object, copied
/// @return TW_OK, TW_EJSON, TW_ELIMIT, TW_ENOMEM; the message names the context
TW_API tw_status tw_context_enter(tw_context *context, const char *name, const char *json,
                                  size_t len, tw_error *error);
/// Leaves the named context that was entered last; others on top of it stay.
/// @return TW_OK; TW_ENOENT with a message that lists the entered names
TW_API tw_status tw_context_exit(tw_context *context, const char *name, tw_error *error);
/// The union as a JSON object: contexts in the order they were entered, later ones override.
/// @param[out] text  NUL-terminated, owned; free with tw_free
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_context_resolve(tw_context *context, char **text, size_t *len,
                                    tw_error *error);
/// Visits the contexts that are not hidden, in the order they were entered.
/// The strings are borrowed for the call; it must not use the context.
typedef void (*tw_context_visit_fn)(void *self, const char *name, const char *json, size_t len);
TW_API void tw_context_visit(tw_context *context, tw_context_visit_fn visit, void *self);
/// @return a copy of the stack, owned, to hand to another thread or coroutine; NULL without
///         memory
TW_API tw_context *tw_context_copy(tw_context *context);

/// Finds the context that holds for the caller.
typedef struct tw_locator_ops {
  /// @return a new reference, owned by the caller; NULL without memory
  tw_context *(*get)(void *self);
  void (*free)(void *self); ///< may be NULL
} tw_locator_ops;
typedef struct tw_locator tw_locator;
/// @param ops  copied. @param self  kept
/// @param[out] out  owned, as with the next two
/// @return TW_OK, TW_EINVAL without `get`, TW_ENOMEM
TW_API tw_status tw_locator_new(const tw_locator_ops *ops, void *self, tw_locator **out,
                                tw_error *error);
/// One context for all threads.
TW_API tw_status tw_locator_new_default(tw_locator **out, tw_error *error);
/// One context for each thread; freed when the thread ends.
TW_API tw_status tw_locator_new_thread_local(tw_locator **out, tw_error *error);
TW_API tw_locator *tw_locator_ref(tw_locator *locator);
TW_API void tw_locator_unref(tw_locator *locator);
/// @return a new reference, owned by the caller
TW_API tw_context *tw_locator_get(tw_locator *locator);

/* ---------------------------------------------------------------- trackers */

/// A router with contexts in front of it: what a program emits into.
typedef struct tw_tracker tw_tracker;

/// @param locator  kept; NULL means a thread-local one
/// @param[out] out  owned
/// @return TW_OK or TW_ENOMEM
TW_API tw_status tw_tracker_new(tw_locator *locator, tw_tracker **out, tw_error *error);
TW_API tw_tracker *tw_tracker_ref(tw_tracker *tracker);
/// The last reference flushes, closes and frees it.
TW_API void tw_tracker_unref(tw_tracker *tracker);

/// The root router, borrowed: lives as long as the tracker.
TW_API tw_router *tw_tracker_router(tw_tracker *tracker);
/// Limits of the events that it makes from now on, in any thread. NULL: the defaults.
TW_API void tw_tracker_set_limits(tw_tracker *tracker, const tw_limits *limits);

/// Emits inside of emits on one thread.
#define TW_MAX_NESTED 16

/// Emits an event: stamps it with the time in UTC, adds the located context, routes it.
/// Backends that are not open yet are opened by the first emit. A callback may emit too,
/// TW_MAX_NESTED deep.
///
/// @param name  NULL means "unknown"
/// @param data  a JSON object, copied; NULL means {}
/// @return TW_OK, TW_EINVAL, TW_EJSON, TW_ELIMIT, TW_ENOMEM; or what opening said
TW_API tw_status tw_emit(tw_tracker *tracker, const char *name, const char *data, size_t len,
                         tw_error *error);
/// The same with a packed data object; see tw_builder_pack.
/// `tw_emitf(t, "order.paid", "{total:%f, user:%s, items:%d}", 12.5, "ann", 3)`
/// Only tw_vemitf tells the error.
TW_API tw_status tw_emitf(tw_tracker *tracker, const char *name, const char *format, ...)
    TW_PRINTF(3, 4);
TW_API tw_status tw_vemitf(tw_tracker *tracker, tw_error *error, const char *name,
                           const char *format, va_list args);

/// Called once, when it is certain what became of an event: from any thread, also before the
/// call that emitted returns.
/// @param status  TW_OK: acknowledged. Otherwise it may be lost, as `error` says
typedef void (*tw_ack_fn)(void *self, tw_status status, const tw_error *error);
/// tw_emit that tells when the event is safe: all that it was routed to in engines is durable
/// (or delivered: see the engine's option `ack`), and every other backend has taken it.
/// @param acked  also called when this fails
TW_API tw_status tw_emit_acked(tw_tracker *tracker, const char *name, const char *data,
                               size_t len, tw_ack_fn acked, void *self, tw_error *error);

/// Shorthands for the located context of the caller; see tw_context_enter, tw_context_exit and
/// tw_context_resolve.
TW_API tw_status tw_enter_context(tw_tracker *tracker, const char *name, const char *json,
                                  size_t len, tw_error *error);
TW_API tw_status tw_exit_context(tw_tracker *tracker, const char *name, tw_error *error);
/// @return a new reference, owned by the caller; NULL without memory
TW_API tw_context *tw_located_context(tw_tracker *tracker);
TW_API tw_status tw_resolve_context(tw_tracker *tracker, char **text, size_t *len,
                                    tw_error *error);
/// Waits until all that was emitted before is with its backends, also with those of an engine
/// below. A tracker without such backends flushes at once, whatever the limit.
/// @param timeout_ms  negative: without limit
/// @param[out] remaining  events that were not through in time; may be NULL
/// @return TW_OK; TW_ELIMIT when the time was over; otherwise the first failure of a backend
TW_API tw_status tw_flush(tw_tracker *tracker, int timeout_ms, uint64_t *remaining,
                          tw_error *error);

/// Makes a tracker known to the process under a name; replaces the one of that name.
/// @param tracker  the registry takes a reference of its own
/// @param name     copied; NULL means "default"
/// @return TW_OK, TW_EINVAL for an empty name, TW_ENOMEM
TW_API tw_status tw_register_tracker(tw_tracker *tracker, const char *name, tw_error *error);
/// Removes a name, and gives the registry's reference back. TW_ENOENT when it is not there.
TW_API tw_status tw_unregister_tracker(const char *name, tw_error *error);
/// @param[out] out  a new reference, owned by the caller
/// @return TW_OK, or TW_ENOENT with a message that lists the known names
TW_API tw_status tw_get_tracker(const char *name, tw_tracker **out, tw_error *error);

/* ----------------------------------------------------------------- engines */

/// An engine: a router script run by workers, threads with a Lua state each, and replaced
/// while events flow. The loaded script is a *generation*: immutable and numbered from 1.
/// Every event is processed by exactly one. Any thread may use an engine.
///
/// After a fork the workers are the parent's alone: in the child every call but
/// tw_engine_unref fails with TW_ECLOSED, and that frees nothing. The child may make an engine
/// of its own.
typedef struct tw_engine tw_engine;

/// Something of the host's that the engine's scripts may name: `tw.backends.host "name"`,
/// `tw.processors.host "name"`. Set either `backend` or `processor`; a backend and a processor
/// may have the same name.
typedef struct tw_offer {
  const char *name;        ///< copied
  tw_backend *backend;     ///< the engine takes a reference of its own
  tw_processor *processor; ///< likewise
} tw_offer;

/// What an engine tells, and what it offers. All may be NULL; all functions are called from
/// the workers, from threads that commit and deliver, and from whoever emits or reloads, at the
/// same time. They, acknowledgements and backends that deliver from an outbox must not flush,
/// reload or close the engine: it is refused with TW_EINVAL where it would wait for itself.
/// They may let go of its last reference: then a thread of its own closes and frees it soon,
/// and calls `free` when that is done.
typedef struct tw_engine_ops {
  void (*failed)(void *self, const tw_failure *failure); ///< as in tw_observer
  void (*dead)(void *self, const tw_failure *failure);   ///< as in tw_observer
  /// An event was not processed. @param cause  "newest" or "oldest": the queue was full;
  ///        "timeout": it stayed full; "closed": the engine closed before its turn came
  ///        @param event  NULL when there was no memory to show it
  void (*dropped)(void *self, const char *cause, const tw_event *event);
  /// A reload has ended. @param generation  the one that runs now
  /// @param error  NULL when it is the new one; otherwise why it is not
  void (*reloaded)(void *self, uint64_t generation, const tw_error *error);
  void (*free)(void *self);
  /// A list that ends with an offer without a name, copied. All workers and generations share
  /// each thing in it: a backend is opened when the first generation that names it starts, and
  /// closed when the last one has ended. Without TW_SERIAL the workers call it at the same
  /// time.
  const tw_offer *offers;
  /// A generation is loaded and its backends are not open yet; the first one, too. A failure
  /// refuses it: the message says why. @param router  of one of its states, borrowed
  tw_status (*accept)(void *self, tw_router *router, tw_error *error);
} tw_engine_ops;

/// Loads a script and starts the workers.
///
/// | option | |
/// |---|---|
/// | `workers` | threads, 1 to 64; 1 |
/// | `partition_by` | path of the key that keeps its events in order, on one worker; events
/// without it, and all when it is not set, take turns. In a script also a function: see
/// docs/embedding.md |
/// | `queue` | events that wait at a worker, at most; 2048 |
/// | `overload` | what a full queue does: `"block"` (the default), `"drop_newest"`,
/// `"drop_oldest"` |
/// | `block_for` | how long `"block"` waits before it drops, such as `"100ms"`; without end |
/// | `watch` | whether changes of the script's files reload it; false |
/// | `reload` | `{"watchdog": {"errors": 0.05, "within": 10}}`: the share of events, of 20 at
/// least, whose processing may fail within so many seconds (or `"10s"`) after a reload: with
/// more, it is undone |
/// | `grants` | what the script may use besides, such as `"io,os"`: see docs/scripting.md |
/// | `package_path` | where `require` looks, besides the script's folder |
/// | `memory_limit` | of each worker's Lua state; 64 MiB; `"none"`: no limit, as for the next |
/// | `instruction_limit`, `time_limit` | of all that the script does for one event, or in one
/// call without an event; 10 million, 1 s |
/// | `max_event`, `max_depth` | limits of events read from JSON |
/// | `spool` | a folder, or `{"path", "max_bytes", "min_free"}`: outboxes are kept there, with
/// what scripts keep and how far sources were read |
/// | `durability` | `"commit"` (the default with a spool): acknowledged is synced; `"os"`:
/// outlives the process; `"memory"`: outboxes without a spool. Without any of these and
/// without `delivery` workers call backends themselves |
/// | `delivery` | `{"batch": …, "retry": …, …}`: for all backends; see docs/delivery.md |
/// | `commit` | `{"bytes": "1MiB", "within": "2ms"}`: when a transaction begins at the latest |
/// | `sync` | how often durability `"os"` syncs; 100 ms |
/// | `ack` | `"durable"`, or `"delivered"`: when an event is acknowledged |
/// | `dead` | `{"max_bytes": "256MiB"}`: how many dead letters a spool keeps |
///
/// The script's own `engine = { … }` holds where an option is not given here, but for what
/// limits the script.
///
/// @param options  a JSON object, `len` bytes, copied; NULL means {}
/// @param ops  copied; may be NULL. @param self  kept
/// @param[out] out  owned
/// @return TW_OK; TW_EINVAL for an option; as the script deserves TW_EIO, TW_ESCRIPT, and when
///         it passes its limits TW_ELIMIT or TW_ENOMEM
TW_API tw_status tw_engine_new(const char *script, const char *options, size_t len,
                               const tw_engine_ops *ops, void *self, tw_engine **out,
                               tw_error *error);
TW_API tw_engine *tw_engine_ref(tw_engine *engine);
/// The last reference closes it, without limit of time, and frees it; see tw_engine_ops for
/// callbacks.
TW_API void tw_engine_unref(tw_engine *engine);

/// Hands an event over. It is processed later; what happens to it then goes to the ops.
/// @param event  copied
/// @return TW_OK; TW_ELIMIT when it was dropped as the overload policy says, or when callbacks
///         send inside of each other more than TW_MAX_NESTED deep: then it was not taken and
///         nothing is counted; TW_ECLOSED; TW_ENOMEM
TW_API tw_status tw_engine_send(tw_engine *engine, const tw_event *event, tw_error *error);
/// The same from JSON text: also TW_EJSON.
TW_API tw_status tw_engine_send_json(tw_engine *engine, const char *json, size_t len,
                                     tw_error *error);
/// A backend that sends into the engine, to hang under a tracker or router; its flush is
/// tw_engine_flush without limit of time. It holds a reference.
/// @param[out] out  owned
TW_API tw_status tw_engine_backend(tw_engine *engine, tw_backend **out, tw_error *error);

/// Waits until all that was sent before has been processed and its backends are flushed; where
/// they have outboxes, until it is durable, and in memory or with `ack` "delivered", until it
/// is delivered.
/// @param timeout_ms  negative: without limit
/// @param[out] remaining  events that were not, in time; may be NULL
/// @return TW_OK; TW_ELIMIT when the time was over; what a backend's flush said
TW_API tw_status tw_engine_flush(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                                 tw_error *error);

/// Replaces the script by what its files hold now, while events flow.
///
/// The new generation is loaded beside the running one, rehearsed with the router's `tests`,
/// given what each worker keeps in `tidewire.state`, and its backends are opened; shipped
/// backends that are declared alike stay open. Then all workers change over, each between two
/// events of its stream, and the old generation is closed. Calls at the same time are served
/// by one reload, begun after the last of them.
/// @return TW_OK when the new generation runs. Otherwise the old one goes on; the message
///         says why, with `file:line`
TW_API tw_status tw_engine_reload(tw_engine *engine, tw_error *error);

/// Waits until all outboxes are empty; what comes meanwhile is waited for, too. One whose
/// backend fails again and again (its breaker is open) is not waited for.
/// @param timeout_ms  negative: without limit
/// @param[out] remaining  events that were not delivered; may be NULL
/// @return TW_OK; TW_ELIMIT when some were not
TW_API tw_status tw_engine_drain(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                                 tw_error *error);

/// At any moment `processed + dropped + waiting` is how many events were sent.
typedef struct tw_engine_stats {
  uint64_t generation; ///< that runs now
  uint64_t reloads;    ///< that succeeded
  uint64_t refused;    ///< reloads that failed, or were undone
  uint64_t received;   ///< events that were taken
  uint64_t processed;  ///< of them: through the router
  uint64_t waiting;    ///< of them: in queues or at hand
  uint64_t dropped;    ///< lost, of these and of those that were not taken: the sum by cause
  uint64_t dropped_newest, dropped_oldest, dropped_timeout, dropped_closed;
  uint64_t dropped_memory; ///< there was no memory to route them; told as failures
  unsigned workers;
  uint64_t rebuilt; ///< scripts of workers that were made anew: their memory was full
} tw_engine_stats;
/// May be called at any time.
TW_API void tw_engine_get_stats(tw_engine *engine, tw_engine_stats *out);

/// What has happened at one path of the script's tree, over all workers and generations.
typedef struct tw_branch {
  const char *path;              ///< such as "video/db", "" for the root; borrowed for the call
  const char *kind;              ///< the backend's, such as "file"; NULL: it is a router
  tw_backend_stats backend;      ///< of a backend
  const tw_outbox_stats *outbox; ///< of a backend that has one; NULL otherwise. Borrowed
  tw_router_stats router;        ///< of a router
} tw_branch;
typedef void (*tw_branch_visit_fn)(void *self, const tw_branch *branch);
/// Visits the root and every backend and router that the script has had, in the order in which
/// they were first there. The callback must not use the engine. After tw_engine_close the
/// counts are final.
TW_API void tw_engine_visit(tw_engine *engine, tw_branch_visit_fn visit, void *self);

/// Takes no more events, processes those that wait, and ends the workers. Outboxes in memory
/// are emptied first; what is left in a spool is delivered by the next engine that opens it. A
/// reload that is under way gives up. When the time is over, only what cannot be interrupted is
/// waited for: a call into a script, a backend or the host.
/// @param timeout_ms  negative: without limit
/// @param[out] remaining  events that were dropped because the time was over; may be NULL
/// @return TW_OK, also the second time; TW_ELIMIT when events were dropped; what closing said
TW_API tw_status tw_engine_close(tw_engine *engine, int timeout_ms, uint64_t *remaining,
                                 tw_error *error);

/* ------------------------------------------------------------------- other */

/// Frees memory that a function of this library gave to the caller, as tw_context_resolve does.
TW_API void tw_free(void *memory);

/// Writes a UUIDv7 (RFC 9562), monotonic within the process, with its NUL. Thread-safe.
TW_API void tw_uuid7(char out[37]);

/// The Lua module of this library: `luaL_requiref(L, "tidewire", luaopen_tidewire, 0)`.
/// Trackers that the host registered are found there with `tidewire.get_tracker`.
struct lua_State;
TW_API int luaopen_tidewire(struct lua_State *L);

#ifdef __cplusplus
}
#endif
#endif
