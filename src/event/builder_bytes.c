/* builder_bytes.c: any bytes as a member of a JSON object, which holds text alone. */
#include <nettle/base64.h>
#include <stdio.h>

#include "event/builder_core.h"
#include "event/text.h"

static void add_base64(tw_builder *builder, const char *key, const char *bytes, size_t len) {
  char name[64];
  snprintf(name, sizeof name, "%s_base64", key);
  tw_builder_key(builder, name);
  size_t room = BASE64_ENCODE_RAW_LENGTH(len);
  char *text = tw_malloc(room);
  if (text) base64_encode_raw(text, len, (const uint8_t *)bytes);
  else if (!builder->error.code) tw_no_memory(&builder->error);
  tw_builder_string(builder, text ? text : "", text ? room : 0);
  tw_free(text);
}

void tw_builder_bytes(tw_builder *builder, const char *key, const char *bytes, size_t len) {
  if (tw_utf8_check(bytes, len) != len) {
    add_base64(builder, key, bytes, len);
    return;
  }
  tw_builder_key(builder, key);
  tw_builder_string(builder, bytes, len);
}
