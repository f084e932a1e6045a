/// value_store.c: Lua values as new values of an event's store.
///
/// Scalars are stored at once; tables and views go through JSON text in the scratch buffer,
/// which checks them once more.
#include "script/value/value.h"
#include "script/value/view.h"

static tw_status prefixed(tw_status status, const char *root, tw_error *error) {
  if (status && error) tw_error_prefix(error, "%s: ", *root ? root : "value");
  return status;
}

static tw_status store_number(lua_State *L, int index, const char *root, tw_store *store,
                              tw_ref *out, tw_error *error) {
  if (lua_isinteger(L, index))
    return tw_store_integer(store, lua_tointeger(L, index), out, error);
  double number = lua_tonumber(L, index);
  if (number - number == 0) return tw_store_number(store, number, out, error);
  return tw_fail(error, TW_ETYPE, "%s: %s cannot be part of an event", *root ? root : "value",
                 number != number ? "NaN" : "an infinite number");
}

static tw_status store_string(lua_State *L, int index, const char *root, tw_store *store,
                              tw_ref *out, tw_error *error) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  tw_error why; /* not zeroed: this is a hot path */
  tw_status status = tw_store_string(store, text, len, out, &why);
  if (!status) return TW_OK;
  if (status == TW_EJSON)
    return tw_fail(error, status,
                   "%s: a string that is not UTF-8 (byte %zu) cannot be part of an event",
                   *root ? root : "value", why.position + 1);
  if (error) *error = why;
  return prefixed(status, root, error);
}

static tw_status too_deep(const char *root, tw_error *error) {
  return tw_fail(error, TW_ELIMIT, "%s: nested deeper than the limit of the event allows",
                 *root ? root : "value");
}

/* The containers around the place count towards the depth that the store allows. */
static tw_status store_text(tw_store *store, const tw_buffer *text, uint32_t depth,
                            const char *root, tw_ref *out, tw_error *error) {
  uint32_t allowed = store->limits.max_depth;
  store->limits.max_depth = allowed - depth;
  tw_status status = tw_store_json(store, text->data, text->len, out, error);
  store->limits.max_depth = allowed;
  if (status == TW_ELIMIT && text->len <= store->limits.max_size) return too_deep(root, error);
  return prefixed(status, root, error);
}

static tw_status store_container(lua_State *L, tw_lua *lua, int index, const char *root,
                                 uint32_t depth, tw_store *store, tw_ref *out,
                                 tw_error *error) {
  tw_buffer *text = tw_lua_scratch(L, lua);
  if (depth >= store->limits.max_depth) return too_deep(root, error);
  tw_status status =
      tw_value_write_depth(L, lua, index, root, store->limits.max_depth - depth, text, error);
  return status ? status : store_text(store, text, depth, root, out, error);
}

tw_status tw_value_store_at(lua_State *L, tw_lua *lua, int index, const char *root,
                            uint32_t depth, tw_event *event, tw_ref *out, tw_error *error) {
  tw_store *store = event->store;
  switch (lua_type(L, index)) {
    case LUA_TNIL: return tw_store_word(store, TW_KIND_NULL, out, error);
    case LUA_TBOOLEAN:
      return tw_store_word(store, lua_toboolean(L, index) ? TW_KIND_TRUE : TW_KIND_FALSE, out,
                           error);
    case LUA_TNUMBER: return store_number(L, index, root, store, out, error);
    case LUA_TSTRING: return store_string(L, index, root, store, out, error);
    case LUA_TLIGHTUSERDATA:
      if (!lua_touserdata(L, index)) return tw_store_word(store, TW_KIND_NULL, out, error);
      break;
    default: break;
  }
  return store_container(L, lua, index, root, depth, store, out, error);
}
