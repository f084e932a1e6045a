/// options.h: the declared options of a kind of backend or processor, checked once for all.
#ifndef TW_CORE_OPTIONS_H
#define TW_CORE_OPTIONS_H

#include "event/event.h"

typedef enum tw_option_type {
  TW_OPTION_STRING, ///< not empty
  TW_OPTION_BOOL,
  TW_OPTION_INTEGER,  ///< not negative
  TW_OPTION_SIZE,     ///< bytes: a whole number, or text such as "64KiB", "10MiB", "1GB"
  TW_OPTION_DURATION, ///< a number of seconds, or text such as "500ms", "10s", "5m", "1h", "1d"
  TW_OPTION_SHARE,    ///< a number from 0 to 1
  /* The same, or "none": no limit. */
  TW_OPTION_SIZE_LIMIT,
  TW_OPTION_INTEGER_LIMIT,
  TW_OPTION_DURATION_LIMIT,
  TW_OPTION_LIST ///< an array of strings
} tw_option_type;

typedef struct tw_option {
  const char *name; ///< with dots: of a member of a table, such as "retry.limit"
  tw_option_type type;
  bool required;
} tw_option;

/// Checks that every member of `options` is declared and of its type, and that no required
/// one is missing. An unknown one names the nearest: `file: unknown option "pth"; did you
/// mean "path"?`
/// @param kind  for messages
tw_status tw_options_check(tw_event *options, const char *kind, const tw_option *declared,
                           size_t count, tw_error *error);

/// @return whether the option is "none"; its getter gives `otherwise` then
bool tw_option_is_none(tw_event *options, const char *name);
/* Values of checked options; `otherwise` when the option is absent. */
/// Borrowed until the event is freed. NULL when the memory for it is missing.
const char *tw_option_string(tw_event *options, const char *name, const char *otherwise);
bool tw_option_bool(tw_event *options, const char *name, bool otherwise);
uint64_t tw_option_integer(tw_event *options, const char *name, uint64_t otherwise);
uint64_t tw_option_size(tw_event *options, const char *name, uint64_t otherwise);
/// In nanoseconds.
uint64_t tw_option_duration(tw_event *options, const char *name, uint64_t otherwise);
double tw_option_share(tw_event *options, const char *name, double otherwise);

#endif
