/* An event is made as text in one go: name, time, context and data are written into a leased
   scratch, which is then read once. Reading checks the data too; that it has stayed in its
   place is seen from the nodes, whose order is known. */
#include <string.h>

#include "base/clock.h"
#include "core/ack.h"
#include "core/context.h"
#include "core/tracker.h"
#include "event/text.h"

#define WRITE(out, literal) tw_buffer_append(out, "" literal, sizeof(literal) - 1)

static tw_status write_name(tw_buffer *out, const char *name, tw_error *error) {
  if (!name) return WRITE(out, "\"unknown\"") ? TW_OK : tw_no_memory(error);
  tw_status status = tw_write_string(out, name, strlen(name), error);
  if (status != TW_OK) tw_error_prefix(error, "the event's name: ");
  return status;
}

static bool write_time(tw_buffer *out) {
  if (!WRITE(out, ",\"timestamp\":\"") || !tw_buffer_reserve(out, TW_RFC3339_LEN)) return false;
  tw_rfc3339(tw_clock_utc_us(), out->data + out->len);
  out->len += TW_RFC3339_LEN;
  return WRITE(out, "\",\"context\":");
}

static bool write_context(tw_buffer *out, tw_tracker *tracker) {
  tw_context *context = tw_located_context(tracker);
  bool fits = context && tw_context_append(context, out);
  tw_context_unref(context);
  return fits;
}

static tw_status write_event(tw_buffer *out, tw_tracker *tracker, const char *name,
                             const char *data, size_t len, tw_error *error) {
  if (!tw_buffer_reserve(out, 512 + len) || !WRITE(out, "{\"name\":")) {
    return tw_no_memory(error);
  }
  tw_status status = write_name(out, name, error);
  if (status != TW_OK) return status;
  bool fits = write_time(out) && write_context(out, tracker) && WRITE(out, ",\"data\":") &&
              tw_buffer_append(out, data, len) && tw_buffer_byte(out, '}') &&
              tw_buffer_pad(out, TW_PADDING);
  return fits ? TW_OK : tw_no_memory(error);
}

/* Whether the data is one object and nothing behind it: root, key and value of name and
   timestamp, key and subtree of context, key and subtree of data. */
static bool is_in_place(const tw_event *event) {
  const tw_node *root = tw_store_node(event->store, event->root);
  const tw_node *context = root + 6, *data = context + tw_node_size(context) + 1;
  return tw_node_kind(data) == TW_KIND_OBJECT &&
         data + tw_node_size(data) == root + tw_node_size(root);
}

/* Reading the data alone gives the message that is true for the caller's text. */
static tw_status fail_data(const tw_store *store, const char *data, size_t len,
                           const tw_error *whole, tw_error *error) {
  tw_event *event;
  if (whole->code == TW_ENOMEM) return tw_no_memory(error);
  tw_status status = tw_event_parse(data, len, &store->limits, &event, error);
  if (status != TW_OK) {
    tw_error_prefix(error, "data: ");
    return status;
  }
  tw_event_free(event);
  return tw_fail(error, whole->code, "the event with its context: %s", whole->message);
}

static tw_status read_event(tw_scratch *scratch, const char *data, size_t len, tw_event *event,
                            tw_error *error) {
  tw_error whole = {0};
  tw_status status =
      tw_store_parse(&scratch->store, scratch->text.data, scratch->text.len, event, &whole);
  if (status == TW_OK && is_in_place(event)) return TW_OK;
  if (status == TW_OK) {
    tw_event_end(event);
    tw_fail(&whole, TW_EJSON, "data is not one JSON object");
  }
  return fail_data(&scratch->store, data, len, &whole, error);
}

/* The first event finds the router not open. */
static tw_status route(tw_tracker *tracker, const tw_event *event, tw_error *error) {
  tw_status status = tw_router_send(tracker->router, event, 0, error);
  if (status != TW_ECLOSED) return status;
  status = tw_router_open_first(tracker->router, error);
  return status == TW_OK ? tw_router_send(tracker->router, event, 0, error) : status;
}

/* Emits of this thread that are under way. */
static __thread unsigned depth;

/* Whoever asked about the event that this thread is sending did not ask about this one. */
static tw_status emit(tw_tracker *tracker, tw_scratch *scratch, const char *name,
                      const char *data, size_t len, const tw_emission *how, tw_error *error) {
  tw_event event;
  if (depth > TW_MAX_NESTED) {
    return tw_fail(error, TW_ELIMIT, "emit inside of emit, %d deep: is this a loop?",
                   TW_MAX_NESTED);
  }
  scratch->store.limits.max_depth =
      (uint32_t)atomic_load_explicit(&tracker->max_depth, memory_order_relaxed);
  scratch->store.limits.max_size =
      atomic_load_explicit(&tracker->max_size, memory_order_relaxed);
  tw_status status = write_event(&scratch->text, tracker, name, data, len, error);
  if (status == TW_OK) status = read_event(scratch, data, len, &event, error);
  if (status != TW_OK) return status;
  if (how->priority) tw_event_set_priority(&event, how->priority);
  depth++;
  tw_ack *outer = tw_ack_swap(how->ack);
  status = route(tracker, &event, error);
  tw_ack_swap(outer);
  depth--;
  tw_event_end(&event);
  return status;
}

/* A callback may let go of the last other reference. */
tw_status tw_emit_as(tw_tracker *tracker, const char *name, const char *data, size_t len,
                     const tw_emission *how, tw_error *error) {
  unsigned lane = tw_lane_here();
  tw_scratch *scratch = tw_scratch_lease(tracker, lane);
  if (!scratch) return tw_no_memory(error);
  tw_tracker_enter(tracker, lane);
  tw_status status =
      emit(tracker, scratch, name, data ? data : "{}", data ? len : 2, how, error);
  tw_scratch_return(tracker, lane, scratch);
  tw_tracker_leave(tracker, lane);
  return status;
}

static const tw_emission plainly = {NULL, TW_PRIORITY_NORMAL};

tw_status tw_emit(tw_tracker *tracker, const char *name, const char *data, size_t len,
                  tw_error *error) {
  return tw_emit_as(tracker, name, data, len, &plainly, error);
}

/* ------------------------------------------------------------ acknowledged */

/* The reference that is held meanwhile keeps the callback from being called before all of the
   event's branches are on their way. */
tw_status tw_emit_acked_as(tw_tracker *tracker, const char *name, const char *data, size_t len,
                           const tw_emission *how, tw_ack_fn acked, void *self,
                           tw_error *error) {
  tw_error mine;
  tw_emission with = *how;
  if (!error) error = &mine;
  tw_status status = tw_ack_new(acked, self, &with.ack, error);
  if (status != TW_OK) {
    tw_ack *outer = tw_ack_swap(NULL);
    acked(self, status, error);
    tw_ack_swap(outer);
    return status;
  }
  tw_error_clear(error);
  status = tw_emit_as(tracker, name, data, len, &with, error);
  tw_ack_end(with.ack, status, error);
  return status;
}

tw_status tw_emit_acked(tw_tracker *tracker, const char *name, const char *data, size_t len,
                        tw_ack_fn acked, void *self, tw_error *error) {
  return tw_emit_acked_as(tracker, name, data, len, &plainly, acked, self, error);
}

/* ------------------------------------------------------------------ packed */

static tw_status pack(tw_scratch *scratch, const char *format, va_list args, const char **text,
                      size_t *len, tw_error *error) {
  if (!scratch->builder) scratch->builder = tw_builder_new();
  if (!scratch->builder) return tw_no_memory(error);
  tw_builder_reset(scratch->builder);
  tw_builder_vpack(scratch->builder, format, args);
  tw_status status = tw_builder_text(scratch->builder, text, len, error);
  if (status != TW_OK) tw_error_prefix(error, "data: ");
  return status;
}

tw_status tw_vemitf(tw_tracker *tracker, tw_error *error, const char *name, const char *format,
                    va_list args) {
  const char *text = NULL;
  size_t len = 0;
  unsigned lane = tw_lane_here();
  tw_scratch *scratch = tw_scratch_lease(tracker, lane);
  if (!scratch) return tw_no_memory(error);
  tw_tracker_enter(tracker, lane);
  tw_status status = pack(scratch, format, args, &text, &len, error);
  if (status == TW_OK) status = emit(tracker, scratch, name, text, len, &plainly, error);
  tw_scratch_return(tracker, lane, scratch);
  tw_tracker_leave(tracker, lane);
  return status;
}

tw_status tw_emitf(tw_tracker *tracker, const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tw_status status = tw_vemitf(tracker, NULL, name, format, args);
  va_end(args);
  return status;
}
