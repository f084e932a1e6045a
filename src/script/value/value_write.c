/// value_write.c: Lua values to JSON text.
///
/// Nothing here raises or allocates in Lua: tables are walked with lua_next and lua_rawgeti,
/// whose only demand is stack, and strings are borrowed. So the buffer is safe whatever
/// happens. The tables around a value form a list on the C stack, which tells the path for
/// messages and whether a table stands inside itself.
#include <math.h>

#include "event/text.h"
#include "script/state/guard.h"
#include "script/value/value.h"
#include "script/value/view.h"

/* Tables that share others can make a text of any length out of little memory. */
#define MOST_TEXT ((size_t)32 << 20)

typedef enum step_kind { STEP_NONE, STEP_KEY, STEP_INDEX } step_kind;

/* A table on the way, and the member that is being written. */
typedef struct frame {
  const struct frame *outer;
  const void *table;
  uint32_t depth;
  step_kind step;
  const char *key;
  size_t len;
  lua_Integer index;
} frame;

typedef struct writer {
  lua_State *L;
  tw_lua *lua;
  tw_buffer *out;
  tw_error *error;
  const char *root;
  uint32_t max_depth;
} writer;

static tw_status write_value(writer *w, int index, const frame *around);

/* ---------------------------------------------------------------------- messages */

static void frame_path(const frame *f, tw_path_text *path) {
  if (!f) return;
  frame_path(f->outer, path);
  if (f->step == STEP_KEY) tw_path_text_key(path, f->key, f->len);
  else if (f->step == STEP_INDEX) tw_path_text_index(path, f->index);
}

/* Fails with the path of the value in front of the reason. */
static tw_status refuse(writer *w, const frame *around, tw_status code, const char *format, ...)
    TW_PRINTF(4, 5);
static tw_status refuse(writer *w, const frame *around, tw_status code, const char *format,
                        ...) {
  if (!w->error) return code;
  tw_path_text path = {0};
  size_t root = strlen(w->root);
  if (root < sizeof path.text) {
    memcpy(path.text, w->root, root + 1);
    path.len = root;
  }
  frame_path(around, &path);
  char reason[240];
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof reason, format, args);
  va_end(args);
  return tw_fail(w->error, code, "%s: %s", path.len ? path.text : "value", reason);
}

static bool put(writer *w, const char *text, size_t len) {
  return tw_buffer_append(w->out, text, len);
}

static tw_status put_text(writer *w, const char *text, size_t len) {
  return put(w, text, len) ? TW_OK : tw_no_memory(w->error);
}

/* ----------------------------------------------------------------------- scalars */

static tw_status write_number(writer *w, int index, const frame *around) {
  char text[TW_NUMBER_ROOM];
  if (lua_isinteger(w->L, index))
    return put_text(w, text, tw_write_integer(lua_tointeger(w->L, index), text));
  double number = lua_tonumber(w->L, index);
  if (isnan(number)) return refuse(w, around, TW_ETYPE, "NaN cannot be part of an event");
  if (isinf(number))
    return refuse(w, around, TW_ETYPE, "an infinite number cannot be part of an event");
  return put_text(w, text, tw_write_number(number, text));
}

static tw_status write_text(writer *w, const char *text, size_t len, const frame *around) {
  tw_error error = {0};
  tw_status status = tw_write_string(w->out, text, len, &error);
  if (status == TW_EJSON)
    return refuse(w, around, status,
                  "a string that is not UTF-8 (byte %zu) cannot be part of an event",
                  error.position + 1);
  return status ? tw_no_memory(w->error) : TW_OK;
}

static tw_status write_userdata(writer *w, int index, const frame *around) {
  if (lua_islightuserdata(w->L, index) && !lua_touserdata(w->L, index))
    return put_text(w, "null", 4);
  if (!tw_view_is(w->L, w->lua, index))
    return refuse(w, around, TW_ETYPE, "a userdata cannot be part of an event");
  tw_ref ref;
  const tw_event *event = tw_view_peek(w->L, w->lua, index, &ref);
  if (!event)
    return refuse(w, around, TW_ETYPE,
                  "event view used after its event ended; keep tidewire.totable(view) instead");
  return tw_event_render(event, ref, w->out) ? TW_OK : tw_no_memory(w->error);
}

/* ------------------------------------------------------------------------ tables */

/* Metamethods that make a table show what it does not hold. The names are compared as
   bytes, because pushing them could allocate. */
static const char *deceiving(lua_State *L, int meta) {
  const char *found = NULL;
  for (lua_pushnil(L); lua_next(L, meta); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *name = lua_tostring(L, -2);
    if (!strcmp(name, "__index") || !strcmp(name, "__pairs") || !strcmp(name, "__len"))
      found = name;
  }
  return found;
}

static tw_status check_meta(writer *w, int table, const frame *around, bool *is_array) {
  *is_array = false;
  if (!lua_getmetatable(w->L, table)) return TW_OK;
  *is_array = lua_topointer(w->L, -1) == w->lua->marks[TW_MARK_ARRAY];
  const char *name = *is_array ? NULL : deceiving(w->L, lua_gettop(w->L));
  lua_pop(w->L, 1);
  if (!name) return TW_OK;
  return refuse(w, around, TW_ETYPE,
                "a table with the metamethod %s cannot be part of an event; copy its fields "
                "into a plain table",
                name);
}

static tw_status refuse_key(writer *w, int index, const frame *around) {
  lua_State *L = w->L;
  if (lua_type(L, index) == LUA_TSTRING)
    return refuse(w, around, TW_ETYPE,
                  "a table with both elements and the field \"%.40s\" cannot be part of an "
                  "event; make it a list or an object",
                  lua_tostring(L, index));
  if (lua_isinteger(L, index))
    return refuse(
        w, around, TW_ETYPE,
        "a table with the key [%lld] and holes or fields besides cannot be part of an "
        "event; an array goes from 1 without holes, an object has strings as keys",
        (long long)lua_tointeger(L, index));
  return refuse(w, around, TW_ETYPE, "a key that is a %s cannot be part of an event",
                luaL_typename(L, index));
}

/* Elements stand in order only in the array part of a table. Out of order, this checks that
   the keys are 1 to n, and fetches one by one. */
static tw_status write_scattered(writer *w, int table, frame *f) {
  lua_State *L = w->L;
  lua_Integer count = 0, length = (lua_Integer)lua_rawlen(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1), count++) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= length)
      continue;
    return refuse_key(w, -2, f->outer);
  }
  if (count != length)
    return refuse(w, f->outer, TW_ETYPE,
                  "a list with holes cannot be part of an event; fill them with tidewire.null");
  for (f->index = 1; f->index <= count; f->index++) {
    lua_rawgeti(L, table, f->index);
    if (f->index > 1 && !put(w, ",", 1)) return tw_no_memory(w->error);
    tw_status status = write_value(w, lua_gettop(L), f);
    if (status) return status;
    lua_pop(L, 1);
  }
  return put_text(w, "]", 1);
}

/* The first key and value are on the stack. */
static tw_status write_array(writer *w, int table, frame *f) {
  lua_State *L = w->L;
  f->step = STEP_INDEX;
  f->index = 0;
  if (!put(w, "[", 1)) return tw_no_memory(w->error);
  size_t start = w->out->len;
  do {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != ++f->index) {
      lua_pop(L, 2);
      w->out->len = start;
      return write_scattered(w, table, f);
    }
    if (f->index > 1 && !put(w, ",", 1)) return tw_no_memory(w->error);
    tw_status status = write_value(w, lua_gettop(L), f);
    if (status) return status;
    lua_pop(L, 1);
  } while (lua_next(L, table));
  return put_text(w, "]", 1);
}

static tw_status write_member(writer *w, frame *f) {
  f->key = lua_tolstring(w->L, -2, &f->len);
  tw_status status = write_text(w, f->key, f->len, f);
  if (status) return status;
  if (!put(w, ":", 1)) return tw_no_memory(w->error);
  return write_value(w, lua_gettop(w->L), f);
}

static tw_status write_object(writer *w, int table, frame *f) {
  lua_State *L = w->L;
  f->step = STEP_KEY;
  char before = '{';
  do {
    if (lua_type(L, -2) != LUA_TSTRING) return refuse_key(w, -2, f->outer);
    if (!put(w, &before, 1)) return tw_no_memory(w->error);
    before = ',';
    tw_status status = write_member(w, f);
    if (status) return status;
    lua_pop(L, 1);
  } while (lua_next(L, table));
  return put_text(w, "}", 1);
}

static tw_status check_place(writer *w, const frame *f) {
  for (const frame *outer = f->outer; outer; outer = outer->outer)
    if (outer->table == f->table)
      return refuse(w, f->outer, TW_ETYPE, "a table inside itself cannot be part of an event");
  if (f->depth > w->max_depth)
    return refuse(w, f->outer, TW_ELIMIT, "nested deeper than the limit of the event allows");
  const tw_guard *guard = w->lua->guard;
  if (guard && w->out->len > MOST_TEXT)
    return refuse(w, f->outer, TW_ELIMIT, "the value is longer than any event may be");
  if (guard && guard->late) /* what is raised then is the kill, by the next instruction */
    return refuse(w, f->outer, TW_ELIMIT, "the time for it is over");
  return TW_OK;
}

static tw_status write_table(writer *w, int table, const frame *around) {
  lua_State *L = w->L;
  frame f = {around, lua_topointer(L, table), around ? around->depth + 1 : 1,
             .step = STEP_NONE};
  bool is_array;
  tw_status status = check_place(w, &f);
  if (status) return status;
  if (!lua_checkstack(L, 8)) return tw_no_memory(w->error);
  if ((status = check_meta(w, table, around, &is_array))) return status;
  lua_pushnil(L);
  if (!lua_next(L, table)) return put_text(w, is_array ? "[]" : "{}", 2);
  bool elements = is_array || lua_type(L, -2) == LUA_TNUMBER;
  return elements ? write_array(w, table, &f) : write_object(w, table, &f);
}

/* ----------------------------------------------------------------------- values */

static tw_status write_value(writer *w, int index, const frame *around) {
  size_t len;
  const char *text;
  switch (lua_type(w->L, index)) {
    case LUA_TNIL: return put_text(w, "null", 4);
    case LUA_TBOOLEAN:
      return lua_toboolean(w->L, index) ? put_text(w, "true", 4) : put_text(w, "false", 5);
    case LUA_TNUMBER: return write_number(w, index, around);
    case LUA_TSTRING:
      text = lua_tolstring(w->L, index, &len);
      return write_text(w, text, len, around);
    case LUA_TTABLE: return write_table(w, index, around);
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA: return write_userdata(w, index, around);
    default:
      return refuse(w, around, TW_ETYPE, "a %s cannot be part of an event",
                    luaL_typename(w->L, index));
  }
}

tw_status tw_value_write_depth(lua_State *L, tw_lua *lua, int index, const char *root,
                               uint32_t max_depth, tw_buffer *out, tw_error *error) {
  writer w = {L, lua, out, error, root, max_depth};
  if (!lua_checkstack(L, 4)) return tw_no_memory(error);
  size_t start = out->len;
  int top = lua_gettop(L);
  tw_status status = write_value(&w, lua_absindex(L, index), NULL);
  lua_settop(L, top);
  if (status) out->len = start;
  return status;
}

tw_status tw_value_write(lua_State *L, tw_lua *lua, int index, const char *root, tw_buffer *out,
                         tw_error *error) {
  return tw_value_write_depth(L, lua, index, root, lua->limits.max_depth, out, error);
}
