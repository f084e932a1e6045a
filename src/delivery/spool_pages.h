/// spool_pages.h: LMDB's file format (0.9, 64 bits, little-endian), read with pread alone.
///
/// A file is pages of one size, numbered from 0. A page begins with
///
///     number: 8 | pad: 2 | flags: 2 | lower: 2, upper: 2; or of an overflow run, pages: 4
///
/// Pages 0 and 1 are *meta pages*; transaction N writes page N % 2, and the one with the
/// greater number counts. It holds two trees: one of free pages (key: transaction, value: count
/// and page numbers, descending), and the main one. *Branch* and *leaf* pages have an array of
/// 16-bit offsets up to `lower`, in the order of keys, and nodes from `upper` to the page's
/// end:
///
///     branch: child: 6, key length: 2 | key
///     leaf:   size: 4, flags: 2, key length: 2 | key | value, or the number of its first page
///
/// A value that does not fit is an *overflow run*: pages one after the other, with one header.
#ifndef TW_DELIVERY_SPOOL_PAGES_H
#define TW_DELIVERY_SPOOL_PAGES_H

#include "base/status.h"

#define TW_PAGE_HEADER 16
#define TW_PAGE_MAX    32768
#define TW_NO_PAGE     UINT64_MAX
/// LMDB's stack of cursors: no tree is deeper.
#define TW_TREE_DEPTH 32

typedef enum tw_page_kind {
  TW_PAGE_BRANCH = 1,
  TW_PAGE_LEAF = 2,
  TW_PAGE_OVERFLOW = 4,
  TW_PAGE_META = 8
} tw_page_kind;

/// A file that is read. `folder` is for messages.
typedef struct tw_pages {
  int fd;
  const char *folder;
  uint32_t page_size;
  uint64_t count; ///< whole pages that the file has
} tw_pages;

typedef struct tw_tree {
  uint16_t flags, depth;
  uint64_t branches, leaves, overflows, entries;
  uint64_t root; ///< TW_NO_PAGE: it is empty
} tw_tree;

typedef struct tw_meta {
  uint64_t map_size, last_page, txnid;
  tw_tree free, main;
} tw_meta;

/// A node of a leaf or a branch; borrowed from the page.
typedef struct tw_page_item {
  const unsigned char *key;
  size_t key_len;
  size_t size;                ///< of the value
  const unsigned char *value; ///< NULL: it is in an overflow run
  uint64_t page;              ///< of that run, or the child of a branch
} tw_page_item;

/// Reads both meta pages as far as they are some.
/// @param[out] metas  each by its place
/// @param[out] is_whole  which of them are
/// @return TW_OK; TW_EIO with a message about the first that is not whole; then
///         `pages->page_size` is set if one of them is
tw_status tw_pages_open(int fd, const char *folder, tw_pages *out, tw_meta metas[2],
                        bool is_whole[2], tw_error *error);

/// Reads bytes of the file. @return TW_OK; TW_EIO, also behind its end
tw_status tw_pages_read(const tw_pages *pages, uint64_t page, size_t offset, void *out,
                        size_t len, tw_error *error);

/// Whether a branch or leaf page has nothing wrong in itself, except for the order of keys.
/// @return NULL, or what is wrong
const char *tw_page_wrong(const unsigned char *bytes, uint32_t page_size, uint64_t number,
                          tw_page_kind kind);
unsigned tw_page_nodes(const unsigned char *bytes);
/// @param index  below tw_page_nodes
void tw_page_node(const unsigned char *bytes, unsigned index, tw_page_kind kind,
                  tw_page_item *out);

/// The pages that a value of this size takes, at least.
uint64_t tw_overflow_pages(const tw_pages *pages, size_t size);
/// How many pages an overflow run has. @return NULL, or what is wrong
const char *tw_overflow_wrong(const tw_pages *pages, const tw_page_item *node,
                              const unsigned char header[TW_PAGE_HEADER], uint64_t *count);
/// Reads a part of a node's value, wherever it is.
tw_status tw_pages_value(const tw_pages *pages, const tw_page_item *node, size_t offset,
                         void *out, size_t len, tw_error *error);

/// TW_EIO for damage: `folder/data.mdb: page 7: what: run tidewire spool repair folder`.
tw_status tw_pages_damaged(const tw_pages *pages, uint64_t page, const char *what,
                           tw_error *error);

#endif
