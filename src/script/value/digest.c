/// digest.c: two digests for processors: one that hides a value and one that spreads it.
///
/// HMAC-SHA-256 is for redaction: without the key, a guessed e-mail address cannot be
/// checked against its digest. XXH3 is for sampling by key: fast and even, but no secret.
/// Both take bytes as they are, also NULs.
#include "script/value/digest.h"

#include <nettle/base16.h>
#include <nettle/hmac.h>
#include <xxhash.h>

#define HEX_LEN BASE16_ENCODE_LENGTH(SHA256_DIGEST_SIZE)

/* Only real strings: a number would be hashed by the text that Lua chooses for it. */
static const char *check_text(lua_State *L, int index, const char *function, const char *name,
                              size_t *len) {
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "%s: '%s' must be a string, not %s", function, name, luaL_typename(L, index));
  return lua_tolstring(L, index, len);
}

static int l_hmac_sha256(lua_State *L) {
  size_t key_len, text_len;
  const char *key = check_text(L, 1, "hmac_sha256", "key", &key_len);
  const char *text = check_text(L, 2, "hmac_sha256", "text", &text_len);
  struct hmac_sha256_ctx context;
  uint8_t digest[SHA256_DIGEST_SIZE];
  char hex[HEX_LEN];
  hmac_sha256_set_key(&context, key_len, (const uint8_t *)key);
  hmac_sha256_update(&context, text_len, (const uint8_t *)text);
  hmac_sha256_digest(&context, sizeof digest, digest);
  base16_encode_update(hex, sizeof digest, digest);
  lua_pushlstring(L, hex, sizeof hex);
  return 1;
}

static int l_xxh3(lua_State *L) {
  size_t len;
  const char *text = check_text(L, 1, "xxh3", "text", &len);
  lua_pushinteger(L, (lua_Integer)XXH3_64bits(text, len));
  return 1;
}

void tw_lua_open_digest(lua_State *L, tw_lua *lua) {
  static const luaL_Reg functions[] = {
      {"hmac_sha256", l_hmac_sha256}, {"xxh3", l_xxh3}, {NULL, NULL}};
  tw_lua_setfuncs(L, lua, functions);
}
