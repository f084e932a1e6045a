/* A message has a fixed size: the names that do not fit are left out, and it says so. */
#include "core/names.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

#define MARK "…"

/* Joins the names as far as they fit. */
static void join(char *out, size_t room, const char *const *names, size_t count) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    size_t need = strlen(names[i]) + (i ? 2 : 0);
    if (used + need + sizeof ", " MARK > room) {
      snprintf(out + used, room - used, "%s" MARK, i ? ", " : "");
      return;
    }
    snprintf(out + used, room - used, "%s%s", i ? ", " : "", names[i]);
    used += need;
  }
}

tw_status tw_fail_unknown(tw_error *error, tw_status code, const char *what, const char *name,
                          const char *const *known, size_t count, const char *none) {
  if (!error) return code;
  if (!count) return tw_fail(error, code, "%s \"%.80s\"; %s", what, name, none);
  char list[240];
  join(list, sizeof list, known, count);
  const char *near = tw_suggest(name, known, count);
  if (!near) return tw_fail(error, code, "%s \"%.80s\"; known: %s", what, name, list);
  return tw_fail(error, code, "%s \"%.80s\"; did you mean \"%.80s\"? known: %s", what, name,
                 near, list);
}
