/// parse.h: events of a store from text that is right.
#ifndef TW_TEST_EVENT_PARSE_H
#define TW_TEST_EVENT_PARSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/event.h"

/// @return an event to be ended before the store
static inline tw_event parse(tw_store *store, const char *json) {
  tw_event event;
  tw_error error = {0};
  if (tw_store_parse_copy(store, json, strlen(json), &event, &error))
    fail_msg("%s", error.message);
  return event;
}

#endif
