/* What `common` gives is read first, and holds for what `own` does not give. Each is checked by
   itself, so that a message names the one that is wrong; what has to fit together is checked
   at the end.

   Tries do not count while the breaker rests (delivery.h), so that with as many failures as it
   takes to open it, no event would ever have had its last try. So the breaker takes more of
   them than that, unless somebody says otherwise: and then it is refused. */
#include "delivery/delivery.h"

const tw_option tw_delivery_declared[] = {
    {"batch.events", TW_OPTION_INTEGER, false},
    {"batch.bytes", TW_OPTION_SIZE, false},
    {"batch.seconds", TW_OPTION_DURATION, false},
    {"retry.min", TW_OPTION_DURATION, false},
    {"retry.max", TW_OPTION_DURATION, false},
    {"retry.attempts", TW_OPTION_INTEGER_LIMIT, false},
    {"breaker.failures", TW_OPTION_INTEGER, false},
    {"breaker.rest", TW_OPTION_DURATION, false},
    {"breaker.probes", TW_OPTION_INTEGER, false},
    {"timeout", TW_OPTION_DURATION_LIMIT, false},
    {"max_in_flight", TW_OPTION_INTEGER, false},
    {"max_events", TW_OPTION_INTEGER_LIMIT, false},
    {"max_bytes", TW_OPTION_SIZE_LIMIT, false},
    {"overload", TW_OPTION_STRING, false},
};
const size_t tw_delivery_declared_count =
    sizeof tw_delivery_declared / sizeof *tw_delivery_declared;

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static const tw_delivery_options defaults = {
    .batch_events = 1000,
    .batch_bytes = UINT64_C(1) << 20,
    .retry_min_ns = 100 * MS,
    .retry_max_ns = 30 * SECOND,
    .breaker_failures = 5,
    .breaker_rest_ns = 5 * SECOND,
    .breaker_probes = 1,
    .timeout_ns = 30 * SECOND,
    .max_in_flight = 1,
    .bounds = {.max_events = 100000,
               .max_bytes = UINT64_C(64) << 20,
               .overload = TW_OVERLOAD_BLOCK},
};

/* ------------------------------------------------------------------ ranges */

/* Of a whole number, a size or a duration. Where "none" may be said, that is 0. */
typedef struct range {
  const char *name, *text;
  uint64_t min, max;
} range;

static const range ranges[] = {
    {"batch.events", "1 to 1000000", 1, 1000000},
    {"batch.bytes", "1B to 1GiB", 1, UINT64_C(1) << 30},
    {"batch.seconds", "0 to 1h", 0, HOUR},
    {"retry.min", "1ms to 1d", MS, DAY},
    {"retry.max", "1ms to 1d", MS, DAY},
    {"retry.attempts", "0 (without end) to 1000000", 0, 1000000},
    {"breaker.failures", "1 to 2000000", 1, 2000000},
    {"breaker.rest", "1ms to 1d", MS, DAY},
    {"breaker.probes", "1 to 1000", 1, 1000},
    {"timeout", "1ms to 1d, or \"none\"", MS, DAY},
    {"max_in_flight", "1 to 64", 1, 64},
    {"max_events", "at least 1, or \"none\"", 1, UINT64_MAX},
    {"max_bytes", "at least 1B, or \"none\"", 1, UINT64_MAX},
};

static uint64_t number_of(tw_event *options, tw_option_type type, const char *name,
                          uint64_t otherwise) {
  if (type == TW_OPTION_DURATION || type == TW_OPTION_DURATION_LIMIT)
    return tw_option_duration(options, name, otherwise);
  if (type == TW_OPTION_SIZE || type == TW_OPTION_SIZE_LIMIT)
    return tw_option_size(options, name, otherwise);
  return tw_option_integer(options, name, otherwise);
}

static tw_option_type type_of(const char *name) {
  size_t i = 0;
  while (strcmp(tw_delivery_declared[i].name, name) != 0) i++;
  return tw_delivery_declared[i].type;
}

static tw_status check_ranges(tw_event *options, const char *what, tw_error *error) {
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    const range *at = &ranges[i];
    uint64_t value = number_of(options, type_of(at->name), at->name, at->min);
    if (value < at->min || value > at->max)
      return tw_fail(error, TW_EINVAL, "%s: option \"%s\": expected %s", what, at->name,
                     at->text);
  }
  return TW_OK;
}

/* -------------------------------------------------------------------- read */

/* @param[in,out] out  keeps what the option does not give */
static void take(tw_event *options, const char *name, uint64_t *out) {
  *out = tw_option_is_none(options, name) ? 0 : number_of(options, type_of(name), name, *out);
}

static bool is_given(tw_event *options, const char *name) {
  tw_value value;
  return tw_event_get(options, name, &value) == TW_OK && value.type != TW_NULL;
}

static tw_status take_overload(tw_event *options, const char *what, tw_overload *out,
                               tw_error *error) {
  static const char *const names[] = {"block", "drop_newest", "drop_oldest"};
  static const tw_overload values[] = {TW_OVERLOAD_BLOCK, TW_OVERLOAD_NEWEST,
                                       TW_OVERLOAD_OLDEST};
  const char *text = tw_option_string(options, "overload", "");
  if (!text) return tw_no_memory(error);
  if (!*text) return TW_OK;
  for (size_t i = 0; i < 3; i++) {
    if (strcmp(text, names[i]) != 0) continue;
    *out = values[i];
    return TW_OK;
  }
  return tw_fail(error, TW_EINVAL,
                 "%s: option \"overload\": expected \"block\", \"drop_newest\" or "
                 "\"drop_oldest\", got \"%.60s\"",
                 what, text);
}

/* @param[in,out] failures  0: not given. @param what  for messages */
static tw_status take_all(tw_event *options, const char *what, tw_delivery_options *out,
                          uint64_t *failures, tw_error *error) {
  uint64_t in_flight = out->max_in_flight;
  take(options, "batch.events", &out->batch_events);
  take(options, "batch.bytes", &out->batch_bytes);
  take(options, "batch.seconds", &out->batch_ns);
  take(options, "retry.min", &out->retry_min_ns);
  take(options, "retry.max", &out->retry_max_ns);
  take(options, "retry.attempts", &out->attempts);
  take(options, "breaker.failures", failures);
  take(options, "breaker.rest", &out->breaker_rest_ns);
  take(options, "breaker.probes", &out->breaker_probes);
  take(options, "timeout", &out->timeout_ns);
  take(options, "max_in_flight", &in_flight);
  take(options, "max_events", &out->bounds.max_events);
  take(options, "max_bytes", &out->bounds.max_bytes);
  out->max_in_flight = (unsigned)in_flight;
  if (is_given(options, "max_events")) out->has_max_events = true;
  if (is_given(options, "max_bytes")) out->has_max_bytes = true;
  return take_overload(options, what, &out->bounds.overload, error);
}

static tw_status read_one(const char *json, size_t len, const char *what,
                          tw_delivery_options *out, uint64_t *failures, tw_error *error) {
  tw_event *options = NULL;
  if (!json) return TW_OK;
  tw_status status = tw_event_parse(json, len, NULL, &options, error);
  if (status) {
    tw_error_prefix(error, "%s: options: ", what);
    return status;
  }
  status =
      tw_options_check(options, what, tw_delivery_declared, tw_delivery_declared_count, error);
  if (!status) status = check_ranges(options, what, error);
  if (!status) status = take_all(options, what, out, failures, error);
  tw_event_free(options);
  return status;
}

/* @param failures  0: not given */
static tw_status fit_together(tw_delivery_options *out, uint64_t failures, const char *what,
                              tw_error *error) {
  if (out->retry_min_ns > out->retry_max_ns)
    return tw_fail(error, TW_EINVAL,
                   "%s: option \"retry.min\": %gs is more than \"retry.max\", %gs", what,
                   (double)out->retry_min_ns / 1e9, (double)out->retry_max_ns / 1e9);
  if (failures && out->attempts >= failures)
    return tw_fail(error, TW_EINVAL,
                   "%s: option \"retry.attempts\": %llu tries are never made, as the breaker "
                   "rests after %llu failures: give \"breaker.failures\" more than that",
                   what, (unsigned long long)out->attempts, (unsigned long long)failures);
  if (failures) out->breaker_failures = failures;
  else if (out->attempts >= out->breaker_failures) out->breaker_failures = out->attempts + 1;
  return TW_OK;
}

tw_status tw_delivery_options_read(const char *own, size_t own_len, const char *common,
                                   size_t common_len, const char *what,
                                   tw_delivery_options *out, tw_error *error) {
  uint64_t failures = 0;
  *out = defaults;
  tw_status status = read_one(common, common_len, "delivery", out, &failures, error);
  if (!status) status = read_one(own, own_len, what, out, &failures, error);
  return status ? status : fit_together(out, failures, what, error);
}
