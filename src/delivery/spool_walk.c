/* Where the checker stops, this goes on: a page that is not what it should be is left out, and
   with it what only it leads to. No page is walked over twice, so that a tree which leads back
   to itself ends. */
#include "delivery/spool_walk.h"

#include <string.h>

#include "delivery/check.h"
#include "delivery/spool_record.h"

static bool see(tw_walk *walk, uint64_t page) {
  unsigned char bit = (unsigned char)(1u << (page % 8));
  if (page < 2 || page >= walk->pages.count || walk->seen[page / 8] & bit) return false;
  walk->seen[page / 8] |= bit;
  return true;
}

/* What a meta page says may have been changed: its tree knows better. But the tree of a
   transaction that is known to have failed does not count. */
static uint64_t age(const tw_walk *walk, unsigned which, uint64_t failed) {
  uint64_t number;
  const tw_meta *meta = walk->metas + which;
  if (!walk->is_whole[which]) return 0;
  if (!tw_check_transaction(&walk->pages, &meta->main, &number)) return meta->txnid;
  return failed && number == failed && number != meta->txnid ? 0 : number;
}

tw_status tw_walk_open(int fd, const char *folder, uint64_t failed, tw_walk *out,
                       tw_error *error) {
  *out = (tw_walk){0};
  tw_pages_open(fd, folder, &out->pages, out->metas, out->is_whole, error);
  out->newest = age(out, 1, failed) > age(out, 0, failed);
  out->seen = tw_calloc((size_t)(out->pages.count / 8 + 1), 1);
  return out->seen ? TW_OK : tw_no_memory(error);
}

void tw_walk_close(tw_walk *walk) { tw_free(walk->seen); }

/* ----------------------------------------------------------------- records */

/* A value that says it is larger than the file is not read. */
static bool fits(const tw_walk *walk, const tw_page_item *node) {
  if (node->value) return true;
  uint64_t count = tw_overflow_pages(&walk->pages, node->size);
  return node->page >= 2 && node->page < walk->pages.count &&
         count <= walk->pages.count - node->page;
}

/* Half a value may be worth something: what the file has of it is read. */
static size_t readable(const tw_walk *walk, const tw_page_item *node) {
  if (fits(walk, node)) return node->size;
  if (node->page < 2 || node->page >= walk->pages.count) return 0;
  return (size_t)((walk->pages.count - node->page) * walk->pages.page_size) - TW_PAGE_HEADER;
}

static tw_status visit_node(tw_walk *walk, const tw_page_item *node) {
  tw_found found = {0};
  size_t len = readable(walk, node);
  if (!node->key_len || node->key[0] >= TW_SPOOL_TABLES || node->key_len > TW_RECORD_KEY_ROOM)
    return TW_OK;
  unsigned char *stored = tw_malloc(len);
  if (!stored) return TW_ENOMEM;
  tw_page_item part = *node;
  part.size = len;
  bool is_read = !tw_pages_value(&walk->pages, &part, 0, stored, len, NULL);
  found.is_whole = tw_record_read(node->key, node->key_len, stored, is_read ? len : 0,
                                  &found.table, &found.record);
  tw_spool_record key;
  found.has_key =
      is_read && tw_record_key_read(node->key, node->key_len, stored, len, &found.table, &key);
  tw_status status = walk->visit(walk->self, &found);
  tw_free(stored);
  return status;
}

static tw_status visit_leaf(tw_walk *walk, const unsigned char *bytes) {
  tw_status status = TW_OK;
  for (unsigned i = 0; !status && i < tw_page_nodes(bytes); i++) {
    tw_page_item node;
    tw_page_node(bytes, i, TW_PAGE_LEAF, &node);
    status = visit_node(walk, &node);
  }
  return status;
}

/* -------------------------------------------------------------------- trees */

static bool read_page(const tw_walk *walk, uint64_t page, unsigned char *bytes,
                      tw_page_kind kind) {
  uint32_t size = walk->pages.page_size;
  return !tw_pages_read(&walk->pages, page, 0, bytes, size, NULL) &&
         !tw_page_wrong(bytes, size, page, kind);
}

static tw_status walk_page(tw_walk *walk, uint64_t page, unsigned level, unsigned depth) {
  tw_status status = TW_OK;
  tw_page_kind kind = level + 1 < depth ? TW_PAGE_BRANCH : TW_PAGE_LEAF;
  if (!see(walk, page)) return TW_OK;
  unsigned char *bytes = tw_malloc(walk->pages.page_size);
  if (!bytes) return TW_ENOMEM;
  bool is_sound = read_page(walk, page, bytes, kind);
  walk->damaged += !is_sound;
  if (is_sound && kind == TW_PAGE_LEAF) status = visit_leaf(walk, bytes);
  for (unsigned i = 0;
       is_sound && !status && kind == TW_PAGE_BRANCH && i < tw_page_nodes(bytes); i++) {
    tw_page_item node;
    tw_page_node(bytes, i, TW_PAGE_BRANCH, &node);
    status = walk_page(walk, node.page, level + 1, depth);
  }
  tw_free(bytes);
  return status;
}

tw_status tw_walk_tree(tw_walk *walk, const tw_tree *tree) {
  if (tree->root == TW_NO_PAGE || tree->depth > TW_TREE_DEPTH) return TW_OK;
  return walk_page(walk, tree->root, 0, tree->depth);
}

/* The pages of values are looked at, too: few of them look like a leaf that has its own
   number. */
tw_status tw_walk_rest(tw_walk *walk) {
  unsigned char bytes[TW_PAGE_MAX];
  tw_status status = TW_OK;
  for (uint64_t page = 2; !status && page < walk->pages.count; page++) {
    if (walk->seen[page / 8] & 1u << (page % 8)) continue;
    if (read_page(walk, page, bytes, TW_PAGE_LEAF)) status = visit_leaf(walk, bytes);
  }
  return status;
}
