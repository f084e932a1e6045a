/* Nothing here trusts the file: each offset and length is compared with the page's bounds
   before it is used. Nodes tile the end of a page without a gap, so that a wrong offset or size
   among them is always found out. */
#include "delivery/spool_pages.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/spool_keys.h"

#define MAGIC        0xBEEFC0DEu
#define DATA_VERSION 1
#define META_LEN     (TW_PAGE_HEADER + 136)
#define TREE_LEN     48
#define NODE_HEADER  8
#define KEY_MAX      511
#define BIG_VALUE    1 /* node flag: in an overflow run */

/* Of the tree of free pages: its keys are numbers. The environment's flags stand there, too. */
#define INTEGER_KEYS 8

static uint64_t number_at(const unsigned char *bytes, int len) {
  return tw_little_endian_read(bytes, len);
}

tw_status tw_pages_damaged(const tw_pages *pages, uint64_t page, const char *what,
                           tw_error *error) {
  return tw_fail(error, TW_EIO,
                 "%.140s/data.mdb: page %llu: %s: the spool is damaged; run tidewire spool "
                 "repair %.140s",
                 pages->folder, (unsigned long long)page, what, pages->folder);
}

/* --------------------------------------------------------------------- read */

tw_status tw_pages_read(const tw_pages *pages, uint64_t page, size_t offset, void *out,
                        size_t len, tw_error *error) {
  char reason[96];
  size_t done = 0;
  while (done < len) {
    off_t from = (off_t)(page * pages->page_size + offset + done);
    ssize_t got = pread(pages->fd, (char *)out + done, len - done, from);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return tw_pages_damaged(pages, page, "the file ends before it", error);
    if (got < 0) {
      if (strerror_r(errno, reason, sizeof reason))
        snprintf(reason, sizeof reason, "I/O error");
      return tw_fail(error, TW_EIO, "%.200s/data.mdb: cannot read page %llu: %s", pages->folder,
                     (unsigned long long)page, reason);
    }
    done += (size_t)got;
  }
  return TW_OK;
}

/* --------------------------------------------------------------------- meta */

static void read_tree(const unsigned char *from, tw_tree *out) {
  *out = (tw_tree){.flags = (uint16_t)number_at(from + 4, 2),
                   .depth = (uint16_t)number_at(from + 6, 2),
                   .branches = number_at(from + 8, 8),
                   .leaves = number_at(from + 16, 8),
                   .overflows = number_at(from + 24, 8),
                   .entries = number_at(from + 32, 8),
                   .root = number_at(from + 40, 8)};
}

/* The root may be behind the page's own last one: LMDB leaves it so when its last write fails.
 */
static const char *tree_wrong(const tw_tree *tree, unsigned flags) {
  if (tree->flags != flags) return "flags of a tree that Tidewire does not set";
  if ((tree->root == TW_NO_PAGE) != (tree->depth == 0)) return "the depth of an empty tree";
  if (tree->root < 2) return "the root of a tree is a meta page";
  return tree->depth > TW_TREE_DEPTH ? "a tree is too deep" : NULL;
}

/* The address space of a process, by half: a map that is larger was never made. */
static const char *meta_wrong(const unsigned char *page, uint64_t number, tw_meta *out,
                              uint32_t *page_size) {
  const unsigned char *body = page + TW_PAGE_HEADER;
  *page_size = (uint32_t)number_at(body + 24, 4);
  read_tree(body + 24, &out->free);
  read_tree(body + 24 + TREE_LEN, &out->main);
  out->map_size = number_at(body + 16, 8);
  out->last_page = number_at(body + 120, 8);
  out->txnid = number_at(body + 128, 8);
  if (number_at(page + 10, 2) != TW_PAGE_META) return "it is no meta page";
  if (number_at(body, 4) != MAGIC) return "it is no meta page of LMDB";
  if (number_at(body + 4, 4) != DATA_VERSION) return "another version of LMDB wrote it";
  if (*page_size < 512 || *page_size > TW_PAGE_MAX || (*page_size & (*page_size - 1)))
    return "the size of pages is none";
  if (out->map_size >> 46) return "the size of the map is none";
  /* Both are 0 before the first transaction. */
  if (out->txnid && (out->txnid & 1) != number) return "another transaction's number";
  const char *wrong = tree_wrong(&out->free, INTEGER_KEYS);
  return wrong ? wrong : tree_wrong(&out->main, 0);
}

/* The second meta page stands where the first one says, or where any size of pages would have
   it. */
static bool find_second(tw_pages *pages, tw_meta *meta, uint32_t first_size) {
  unsigned char page[META_LEN];
  uint32_t size;
  for (uint32_t at = 512; at <= TW_PAGE_MAX; at *= 2) {
    if (first_size && at != first_size) continue;
    pages->page_size = at;
    if (!tw_pages_read(pages, 1, 0, page, sizeof page, NULL) &&
        !meta_wrong(page, 1, meta, &size) && size == at)
      return true;
  }
  return false;
}

tw_status tw_pages_open(int fd, const char *folder, tw_pages *out, tw_meta metas[2],
                        bool is_whole[2], tw_error *error) {
  unsigned char page[META_LEN];
  uint32_t size = 0;
  struct stat file;
  *out = (tw_pages){.fd = fd, .folder = folder, .page_size = 4096};
  is_whole[0] = is_whole[1] = false;
  tw_status status = tw_pages_read(out, 0, 0, page, sizeof page, error);
  if (!status) {
    const char *wrong = meta_wrong(page, 0, metas, &size);
    is_whole[0] = !wrong;
    if (wrong) status = tw_pages_damaged(out, 0, wrong, error);
  }
  if (!is_whole[0]) size = 0;
  is_whole[1] = find_second(out, metas + 1, size);
  /* LMDB takes the system's. */
  if (!is_whole[1]) out->page_size = size ? size : (uint32_t)sysconf(_SC_PAGESIZE);
  if (!is_whole[1] && !status)
    status = tw_pages_damaged(out, 1, "it is no meta page that fits the first", error);
  if (fstat(fd, &file) == 0) out->count = (uint64_t)file.st_size / out->page_size;
  return status;
}

/* -------------------------------------------------------------------- nodes */

unsigned tw_page_nodes(const unsigned char *bytes) {
  uint64_t lower = number_at(bytes + 12, 2);
  return lower < TW_PAGE_HEADER ? 0 : (unsigned)(lower - TW_PAGE_HEADER) / 2;
}

static size_t offset_of(const unsigned char *bytes, unsigned index) {
  return (size_t)number_at(bytes + TW_PAGE_HEADER + (size_t)2 * index, 2);
}

void tw_page_node(const unsigned char *bytes, unsigned index, tw_page_kind kind,
                  tw_page_item *out) {
  const unsigned char *node = bytes + offset_of(bytes, index);
  *out = (tw_page_item){.key = node + NODE_HEADER, .key_len = (size_t)number_at(node + 6, 2)};
  if (kind == TW_PAGE_BRANCH) {
    out->page = number_at(node, 6);
    return;
  }
  out->size = (size_t)number_at(node, 4);
  const unsigned char *data = out->key + out->key_len;
  if (number_at(node + 4, 2) & BIG_VALUE) out->page = number_at(data, 8);
  else out->value = data;
}

/* @return bytes of a node, with what aligns it; 0: it does not fit, or has an odd flag */
static size_t node_len(const unsigned char *bytes, size_t page_size, size_t offset,
                       tw_page_kind kind) {
  if (offset + NODE_HEADER > page_size || offset % 2) return 0;
  const unsigned char *node = bytes + offset;
  uint64_t key_len = number_at(node + 6, 2), flags = number_at(node + 4, 2);
  uint64_t len = NODE_HEADER + key_len;
  if (key_len > KEY_MAX) return 0;
  if (kind == TW_PAGE_LEAF && flags > BIG_VALUE) return 0;
  if (kind == TW_PAGE_LEAF) len += flags ? 8 : number_at(node, 4);
  len += len % 2;
  return len <= page_size - offset ? (size_t)len : 0;
}

/* Nodes lie one behind the other from `upper` to the end, in any order. */
static const char *nodes_wrong(const unsigned char *bytes, size_t page_size, tw_page_kind kind,
                               size_t upper) {
  uint16_t lengths[TW_PAGE_MAX / 2 + 1];
  unsigned count = tw_page_nodes(bytes), met = 0;
  memset(lengths, 0, page_size);
  for (unsigned i = 0; i < count; i++) {
    size_t offset = offset_of(bytes, i);
    size_t len = offset < upper ? 0 : node_len(bytes, page_size, offset, kind);
    if (!len) return "a node is outside of its page";
    if (lengths[offset / 2]) return "two nodes are at one place";
    lengths[offset / 2] = (uint16_t)len;
  }
  for (size_t at = upper; at < page_size; at += lengths[at / 2], met++)
    if (!lengths[at / 2]) return "there is a gap between nodes";
  return met == count ? NULL : "nodes overlap";
}

const char *tw_page_wrong(const unsigned char *bytes, uint32_t page_size, uint64_t number,
                          tw_page_kind kind) {
  uint64_t lower = number_at(bytes + 12, 2), upper = number_at(bytes + 14, 2);
  if (number_at(bytes, 8) != number) return "it has another page's number";
  if (number_at(bytes + 10, 2) != (uint64_t)kind) return "it is of another kind";
  if (lower < TW_PAGE_HEADER + 2 || lower % 2 || upper < lower || upper > page_size ||
      upper % 2)
    return "its bounds are wrong";
  return nodes_wrong(bytes, page_size, kind, (size_t)upper);
}

/* ----------------------------------------------------------------- overflow */

uint64_t tw_overflow_pages(const tw_pages *pages, size_t size) {
  return (TW_PAGE_HEADER - 1 + (uint64_t)size) / pages->page_size + 1;
}

/* A run may be longer than its value: one that was replaced by a shorter one. */
const char *tw_overflow_wrong(const tw_pages *pages, const tw_page_item *node,
                              const unsigned char header[TW_PAGE_HEADER], uint64_t *count) {
  *count = number_at(header + 12, 4);
  if (number_at(header, 8) != node->page) return "it has another page's number";
  if (number_at(header + 10, 2) != TW_PAGE_OVERFLOW) return "it is of another kind";
  if (*count < tw_overflow_pages(pages, node->size)) return "it is shorter than its value";
  if (node->page >= pages->count || *count > pages->count - node->page)
    return "the file ends in it";
  return NULL;
}

tw_status tw_pages_value(const tw_pages *pages, const tw_page_item *node, size_t offset,
                         void *out, size_t len, tw_error *error) {
  if (offset > node->size || len > node->size - offset)
    return tw_pages_damaged(pages, node->page, "a value is too short", error);
  if (!node->value)
    return tw_pages_read(pages, node->page, TW_PAGE_HEADER + offset, out, len, error);
  memcpy(out, node->value + offset, len);
  return TW_OK;
}
