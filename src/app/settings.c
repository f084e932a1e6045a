/// settings.c: what the command line does not say is left to the script's own `engine`.
#include "app/settings.h"

#include <math.h>
#include <stdio.h>

static void text(tw_builder *json, const char *name, const char *value) {
  if (!value) return;
  tw_builder_key(json, name);
  tw_builder_string(json, value, strlen(value));
}

/// A limit: 0 is the default, TW_NO_LIMIT is none.
static void limit(tw_builder *json, const char *name, uint64_t value) {
  if (value == TW_NO_LIMIT) text(json, name, "none");
  if (value == 0 || value == TW_NO_LIMIT) return;
  tw_builder_key(json, name);
  tw_builder_integer(json, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static void seconds(tw_builder *json, const char *name, double value) {
  if (isinf(value)) text(json, name, "none");
  if (value == 0 || isinf(value)) return;
  tw_builder_key(json, name);
  tw_builder_number(json, value);
}

static void grants(tw_builder *json, const tw_options *options) {
  tw_buffer names = {0};
  for (const char *const *name = options->grants; *name; name++)
    tw_buffer_printf(&names, "%s%s", names.len ? "," : "", *name);
  if (names.len) text(json, "grants", names.data);
  tw_buffer_fini(&names);
}

/// Members that are absent are the script's or the default.
static void spool(tw_builder *json, const tw_options *options) {
  text(json, "durability", options->durability);
  if (!options->spool && !options->spool_size && !options->spool_free) return;
  tw_builder_key(json, "spool");
  tw_builder_begin_object(json);
  text(json, "path", options->spool);
  limit(json, "max_bytes", options->spool_size);
  limit(json, "min_free", options->spool_free);
  tw_builder_end_object(json);
}

bool tw_settings_write(const tw_options *options, tw_builder *json) {
  const tw_script_options *script = &options->script;
  tw_builder_begin_object(json);
  limit(json, "max_event", options->limits.max_size);
  limit(json, "max_depth", options->limits.max_depth);
  limit(json, "workers", options->workers);
  text(json, "partition_by", options->partition_by);
  if (options->watch) {
    tw_builder_key(json, "watch");
    tw_builder_bool(json, true);
  }
  spool(json, options);
  grants(json, options);
  text(json, "package_path", script->package_path);
  limit(json, "memory_limit", script->memory);
  limit(json, "instruction_limit", script->instructions);
  seconds(json, "time_limit", script->seconds);
  tw_builder_end_object(json);
  const char *unused;
  size_t len;
  return tw_builder_text(json, &unused, &len, NULL) == TW_OK;
}
