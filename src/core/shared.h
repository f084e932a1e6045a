/// shared.h: small stores of keys and values that all states of the process share.
///
/// A store has a name and lives as long as somebody has a reference. Every function here may
/// be called from any thread. Time is the caller's: microseconds on a steady clock, the same
/// for all that use a store, so that tests can set it.
///
/// A store is bounded by entries and by bytes. What is full takes nothing new (TW_ELIMIT);
/// it never throws out what somebody else has put there, but for what has expired.
#ifndef TW_CORE_SHARED_H
#define TW_CORE_SHARED_H

#include "tidewire.h"

typedef struct tw_kv_bounds {
  size_t max_entries; ///< 0: TW_KV_ENTRIES
  size_t max_bytes;   ///< of keys and values; 0: TW_KV_BYTES
} tw_kv_bounds;

#define TW_KV_ENTRIES 100000
#define TW_KV_BYTES   ((size_t)64 << 20)
/// What all stores of the process may hold together, whatever their own bounds: scripts make
/// stores, and may make many.
#define TW_KV_ALL ((size_t)512 << 20)

typedef enum tw_kv_type {
  TW_KV_NIL, ///< as the value to set: delete
  TW_KV_BOOLEAN,
  TW_KV_INTEGER,
  TW_KV_NUMBER,
  TW_KV_STRING
} tw_kv_type;

typedef struct tw_kv_value {
  tw_kv_type type;
  union {
    bool boolean;
    int64_t integer;
    double number;
  };
  const char *text; ///< of a string
  size_t len;
} tw_kv_value;

/// `ttl` of a value that stays.
#define TW_KV_FOREVER INT64_MAX

typedef struct tw_kv tw_kv;

/// The store of a name; made when there is none. Bounds count for the one that makes it.
/// @param[out] out  a reference, for tw_kv_close
tw_status tw_kv_open(const char *name, const tw_kv_bounds *bounds, tw_kv **out,
                     tw_error *error);
void tw_kv_close(tw_kv *store);

/// @param[out] out  TW_KV_NIL when there is none; a string is copied to `text` of the
///                  caller: free it with tw_free
/// @return TW_OK or TW_ENOMEM
tw_status tw_kv_get(tw_kv *store, const char *key, size_t len, int64_t now, tw_kv_value *out,
                    tw_error *error);
/// @param value  copied
/// @param ttl    microseconds to live
/// @return TW_OK, TW_ELIMIT when the store is full, TW_ENOMEM
tw_status tw_kv_set(tw_kv *store, const char *key, size_t len, const tw_kv_value *value,
                    int64_t ttl, int64_t now, tw_error *error);
/// Adds to a number, or to 0 when there is none. An existing value keeps its time to live.
/// @param[in,out] by  an integer or a number; the sum
/// @param ttl  of a value that is new
/// @return TW_OK; TW_ETYPE when the value is no number; TW_ELIMIT when the store is full or the
///         sum of two integers leaves 64 bits; TW_ENOMEM
tw_status tw_kv_incr(tw_kv *store, const char *key, size_t len, tw_kv_value *by, int64_t ttl,
                     int64_t now, tw_error *error);
/// @return whether it was there
bool tw_kv_delete(tw_kv *store, const char *key, size_t len, int64_t now);
/// @return microseconds that it still lives, TW_KV_FOREVER, or -1 when it is not there
int64_t tw_kv_ttl(tw_kv *store, const char *key, size_t len, int64_t now);
/// Gives it a new time to live. @return whether it was there
bool tw_kv_expire(tw_kv *store, const char *key, size_t len, int64_t ttl, int64_t now);
/// How many entries it holds that have not expired.
size_t tw_kv_count(tw_kv *store, int64_t now);

#endif
