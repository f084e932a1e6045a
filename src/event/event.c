/* event.c: copies of an event. A copy is a struct over the same store; edits are counted,
   their memory is the arena's. */
#include "event/event.h"

tw_event tw_event_fork(const tw_event *event) {
  tw_event copy = *event;
  copy.owns_store = false;
  copy.store->events++;
  if (copy.edits) copy.edits->refs++;
  return copy;
}

void tw_event_end(tw_event *event) {
  tw_store *store = event->store;
  if (!store) return;
  if (event->edits) event->edits->refs--;
  store->events--;
  if (event->owns_store) {
    tw_store_fini(store);
    tw_free(store);
  }
  memset(event, 0, sizeof *event);
}

void tw_event_restore(tw_event *event, tw_event *saved) {
  if (event->edits) event->edits->refs--;
  event->edits = saved->edits;
  event->root = saved->root;
  event->id = saved->id;
  event->priority = saved->priority;
  event->store->events--;
  memset(saved, 0, sizeof *saved);
}

void tw_event_set_priority(tw_event *event, tw_priority priority) {
  event->priority = (int8_t)((priority > 0) - (priority < 0));
}

tw_priority tw_event_priority(const tw_event *event) { return (tw_priority)event->priority; }
