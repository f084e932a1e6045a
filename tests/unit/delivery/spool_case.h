/// spool_case.h: a spool in a folder of the test's own, and its records in one line each.
#ifndef TW_TEST_DELIVERY_SPOOL_CASE_H
#define TW_TEST_DELIVERY_SPOOL_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "delivery/spool.h"
#include "delivery/spool_keys.h"
#include "support/folder.h"

static inline tw_status try_spool(tw_spool_mode mode, tw_spool **out, tw_error *error) {
  tw_spool_options options = {.mode = mode, .max_bytes = (uint64_t)64 << 20};
  return tw_spool_open(in_folder("spool"), &options, out, error);
}

static inline tw_spool *open_with(const tw_spool_options *options) {
  tw_error error = {.message = ""};
  tw_spool *spool;
  if (tw_spool_open(in_folder("spool"), options, &spool, &error)) fail_msg("%s", error.message);
  return spool;
}

static inline tw_spool *open_spool(tw_spool_mode mode) {
  tw_spool_options options = {.mode = mode, .max_bytes = (uint64_t)64 << 20};
  return open_with(&options);
}

static inline tw_spool_txn *begin(tw_spool *spool, bool writes) {
  tw_error error = {.message = ""};
  tw_spool_txn *txn;
  if (tw_spool_begin(spool, writes, &txn, &error)) fail_msg("%s", error.message);
  return txn;
}

static inline void commit(tw_spool_txn *txn) {
  tw_error error = {.message = ""};
  if (tw_spool_commit(txn, &error)) fail_msg("%s", error.message);
}

static inline void put(tw_spool_txn *txn, tw_spool_table table, const char *key,
                       const char *value) {
  tw_error error = {.message = ""};
  if (tw_spool_put(txn, table, key, strlen(key), value, strlen(value), &error))
    fail_msg("%s", error.message);
}

/* One record in a transaction of its own. */
static inline void store(tw_spool *spool, tw_spool_table table, const char *key,
                         const char *value) {
  tw_spool_txn *txn = begin(spool, true);
  put(txn, table, key, value);
  commit(txn);
}

static inline void assert_stored(tw_spool *spool, tw_spool_table table, const char *key,
                                 const char *value) {
  tw_error error = {.message = ""};
  const void *found;
  size_t len;
  tw_spool_txn *txn = begin(spool, false);
  if (tw_spool_get(txn, table, key, strlen(key), &found, &len, &error))
    fail_msg("%s: %s", key, error.message);
  assert_int_equal(len, strlen(value));
  assert_memory_equal(found, value, len);
  tw_spool_abort(txn);
}

static inline void assert_missing(tw_spool *spool, tw_spool_table table, const char *key) {
  const void *found;
  size_t len;
  tw_spool_txn *txn = begin(spool, false);
  assert_int_equal(tw_spool_get(txn, table, key, strlen(key), &found, &len, NULL), TW_ENOENT);
  tw_spool_abort(txn);
}

static inline void assert_says(const tw_error *error, const char *part) {
  if (!strstr(error->message, part))
    fail_msg("\"%s\" does not say \"%s\"", error->message, part);
}

#endif
