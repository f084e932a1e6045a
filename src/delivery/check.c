/* The trees are walked in the order of keys. `bound` is the last key that was met: a leaf's key
   must be greater; a branch's key, which separates two children, must be greater than the last
   one of the left child, and no key of the right child may be less. So no key is where a search
   would not find it.

   Every page that a tree uses is marked in a bitmap, and must not be marked already; so must be
   every page of the list of free pages. What is in neither does no harm.

   The first records are the format's version and the transaction's number (TW_SPOOL_ABOUT). The
   number must be that of the meta page: otherwise that was changed, or an older tree took the
   place of the newest. The other meta page must fit its own tree in the same way, as a number
   that became smaller would make it look like the older one. */
#include "delivery/check.h"

#include <fcntl.h>
#include <string.h>

#include "delivery/spool_keys.h"
#include "delivery/spool_record.h"

/* Pages behind the file's end may be free without ever having been written: not many, and each
   is listed as free. Otherwise the last page's number was changed. */
#define NEVER_WRITTEN ((uint64_t)65536)

typedef struct tw_checker {
  tw_pages pages;
  tw_meta meta;
  unsigned char *marks; ///< a bit for each page up to the last one
  uint64_t used, free;  ///< marked
  uint64_t records;     ///< of the tree under way
  uint64_t failed;      ///< tw_check_file
  tw_tree seen;         ///< what was counted of the tree under way
  bool of_free;         ///< that tree is the one of free pages
  unsigned char bound[TW_RECORD_KEY_ROOM];
  size_t bound_len;
  bool has_bound, may_equal;            ///< there is one; a key may be the same
  unsigned char *levels[TW_TREE_DEPTH]; ///< a page for each level; NULL: not yet
  tw_error *error;
} tw_checker;

static tw_status damaged(const tw_checker *checker, uint64_t page, const char *what) {
  return tw_pages_damaged(&checker->pages, page, what, checker->error);
}

/* ------------------------------------------------------------------- marks */

static bool mark(tw_checker *checker, uint64_t page) {
  unsigned char bit = (unsigned char)(1u << (page % 8));
  if (checker->marks[page / 8] & bit) return false;
  checker->marks[page / 8] |= bit;
  return true;
}

static tw_status use_pages(tw_checker *checker, uint64_t first, uint64_t count) {
  uint64_t last = checker->meta.last_page;
  if (first < 2 || first > last || count > last - first + 1)
    return damaged(checker, first, "it is outside of the file");
  for (uint64_t i = 0; i < count; i++)
    if (!mark(checker, first + i)) return damaged(checker, first + i, "it is used twice");
  checker->used += count;
  return TW_OK;
}

/* -------------------------------------------------------------------- keys */

static int compare(const tw_checker *checker, const unsigned char *key, size_t len) {
  if (checker->of_free) {
    uint64_t a = tw_little_endian_read(key, 8), b = tw_little_endian_read(checker->bound, 8);
    return (a > b) - (a < b);
  }
  size_t common = len < checker->bound_len ? len : checker->bound_len;
  int order = memcmp(key, checker->bound, common);
  return order ? order : (len > checker->bound_len) - (len < checker->bound_len);
}

/* @param separates  the key is a branch's */
static tw_status pass_key(tw_checker *checker, uint64_t page, const tw_page_item *node,
                          bool separates) {
  if (checker->of_free ? node->key_len != 8 : !node->key_len)
    return damaged(checker, page, "a key has a wrong length");
  int order = checker->has_bound ? compare(checker, node->key, node->key_len) : 1;
  if (order < 0 || (order == 0 && !checker->may_equal))
    return damaged(checker, page, "its keys are not in order");
  memcpy(checker->bound, node->key, node->key_len);
  checker->bound_len = node->key_len;
  checker->has_bound = true;
  checker->may_equal = separates;
  return TW_OK;
}

/* ----------------------------------------------------------------- records */

static bool is_about(const tw_page_item *node, const char *name) {
  return node->key_len == strlen(name) + 1 && node->key[0] == TW_SPOOL_ABOUT &&
         memcmp(node->key + 1, name, node->key_len - 1) == 0;
}

/* A number of TW_SPOOL_ABOUT. */
static tw_status about_number(tw_checker *checker, uint64_t page, const tw_page_item *node,
                              size_t len, uint64_t *out) {
  tw_spool_table table;
  tw_spool_record record;
  if (!node->value ||
      !tw_record_read(node->key, node->key_len, node->value, node->size, &table, &record) ||
      record.len != len)
    return damaged(checker, page, "a record about the spool is damaged");
  *out = tw_little_endian_read(record.value, (int)len);
  return TW_OK;
}

static tw_status check_transaction(tw_checker *checker, uint64_t page,
                                   const tw_page_item *node) {
  uint64_t number = 0;
  tw_status status = about_number(checker, page, node, 8, &number);
  if (status || number == checker->meta.txnid) return status;
  return damaged(checker, page, "it is of another transaction than the meta page");
}

static tw_status check_version(tw_checker *checker, uint64_t page, const tw_page_item *node) {
  uint64_t number = 0;
  tw_status status = about_number(checker, page, node, 4, &number);
  if (status || number <= TW_SPOOL_VERSION) return status;
  return tw_fail(checker->error, TW_EINVAL,
                 "%.256s: a newer Tidewire wrote this spool (format %llu, this one knows %d): "
                 "use that version",
                 checker->pages.folder, (unsigned long long)number, TW_SPOOL_VERSION);
}

/* A key that stands with its value is read with it; otherwise the header alone. */
static tw_status check_mark(tw_checker *checker, uint64_t page, const tw_page_item *node) {
  unsigned char header[TW_RECORD_HEADER], *stored = header;
  tw_spool_table table;
  tw_spool_record record;
  if (node->size < sizeof header) return damaged(checker, page, "a record is too short");
  tw_status status =
      tw_pages_value(&checker->pages, node, 0, header, sizeof header, checker->error);
  if (status) return status;
  size_t len = tw_record_header_len(header);
  if (len > node->size || len > TW_RECORD_HEADER + TW_RECORD_KEY_MAX)
    return damaged(checker, page, "a record's key is too long");
  if (len > sizeof header) {
    stored = tw_malloc(len);
    if (!stored) return tw_no_memory(checker->error);
    status = tw_pages_value(&checker->pages, node, 0, stored, len, checker->error);
  }
  if (!status && !tw_record_key_read(node->key, node->key_len, stored, len, &table, &record))
    status = damaged(checker, page, "a record's key is damaged");
  if (stored != header) tw_free(stored);
  return status;
}

/* The first two records are those about the spool. */
static tw_status check_record(tw_checker *checker, uint64_t page, const tw_page_item *node) {
  uint64_t turn = checker->records;
  if (turn > 1) return check_mark(checker, page, node);
  if (turn == 0 && is_about(node, "transaction")) return check_transaction(checker, page, node);
  if (turn == 1 && is_about(node, "version")) return check_version(checker, page, node);
  return damaged(checker, page, "a record about the spool is missing");
}

/* -------------------------------------------------------------- free pages */

static tw_status free_page(tw_checker *checker, uint64_t at, uint64_t page) {
  if (page < 2 || page > checker->meta.last_page)
    return damaged(checker, at, "a free page is outside of the file");
  if (!mark(checker, page)) return damaged(checker, page, "it is free, and used or free again");
  checker->free++;
  return TW_OK;
}

static tw_status check_free_list(tw_checker *checker, uint64_t at, const tw_page_item *node) {
  unsigned char bytes[512 * 8];
  uint64_t count, before = UINT64_MAX;
  tw_status status = TW_OK;
  if (tw_little_endian_read(node->key, 8) > checker->meta.txnid)
    return damaged(checker, at, "it lists pages of a later transaction");
  if (node->size % 8 || node->size < 8)
    return damaged(checker, at, "a list of pages is too short");
  status = tw_pages_value(&checker->pages, node, 0, bytes, 8, checker->error);
  count = tw_little_endian_read(bytes, 8);
  if (!status && count != node->size / 8 - 1)
    return damaged(checker, at, "a list of pages has another length");
  for (size_t offset = 8, len; !status && offset < node->size; offset += len) {
    len = node->size - offset < sizeof bytes ? node->size - offset : sizeof bytes;
    status = tw_pages_value(&checker->pages, node, offset, bytes, len, checker->error);
    for (size_t i = 0; !status && i < len; i += 8) {
      uint64_t page = tw_little_endian_read(bytes + i, 8);
      if (page >= before) return damaged(checker, at, "a list of pages is not in order");
      before = page;
      status = free_page(checker, at, page);
    }
  }
  return status;
}

/* ------------------------------------------------------------------- trees */

static tw_status check_run(tw_checker *checker, const tw_page_item *node) {
  unsigned char header[TW_PAGE_HEADER];
  uint64_t count;
  tw_status status =
      tw_pages_read(&checker->pages, node->page, 0, header, sizeof header, checker->error);
  if (status) return status;
  const char *wrong = tw_overflow_wrong(&checker->pages, node, header, &count);
  if (wrong) return damaged(checker, node->page, wrong);
  checker->seen.overflows += count;
  return use_pages(checker, node->page, count);
}

/* Has the system read the pages that come next all at once. */
static void announce(const tw_checker *checker, const unsigned char *bytes, tw_page_kind kind) {
  tw_page_item node;
  for (unsigned i = 0; i < tw_page_nodes(bytes); i++) {
    tw_page_node(bytes, i, kind, &node);
    if (!node.value && node.page < checker->pages.count)
      posix_fadvise(checker->pages.fd, (off_t)(node.page * checker->pages.page_size),
                    (off_t)checker->pages.page_size, POSIX_FADV_WILLNEED);
  }
}

static tw_status check_leaf(tw_checker *checker, uint64_t page, const unsigned char *bytes) {
  tw_status status = TW_OK;
  checker->seen.leaves++;
  announce(checker, bytes, TW_PAGE_LEAF);
  for (unsigned i = 0; !status && i < tw_page_nodes(bytes); i++) {
    tw_page_item node;
    tw_page_node(bytes, i, TW_PAGE_LEAF, &node);
    status = pass_key(checker, page, &node, false);
    if (!status && !node.value) status = check_run(checker, &node);
    if (!status && checker->of_free) status = check_free_list(checker, page, &node);
    else if (!status) status = check_record(checker, page, &node);
    checker->records++;
  }
  return status;
}

static tw_status check_page(tw_checker *checker, uint64_t page, unsigned level);

/* The first key of a branch is not looked at by searches. */
static tw_status check_branch(tw_checker *checker, uint64_t page, const unsigned char *bytes,
                              unsigned level) {
  tw_status status = TW_OK;
  checker->seen.branches++;
  if (tw_page_nodes(bytes) < 2 && !checker->of_free)
    return damaged(checker, page, "a branch has one child");
  if (level + 2 == checker->seen.depth) announce(checker, bytes, TW_PAGE_BRANCH);
  for (unsigned i = 0; !status && i < tw_page_nodes(bytes); i++) {
    tw_page_item node;
    tw_page_node(bytes, i, TW_PAGE_BRANCH, &node);
    if (i) status = pass_key(checker, page, &node, true);
    if (!status) status = check_page(checker, node.page, level + 1);
  }
  return status;
}

/* @param level  0 is the root's; the leaves are all on the lowest one */
static tw_status check_page(tw_checker *checker, uint64_t page, unsigned level) {
  tw_page_kind kind = level + 1 < checker->seen.depth ? TW_PAGE_BRANCH : TW_PAGE_LEAF;
  unsigned char **bytes = checker->levels + level;
  if (!*bytes) *bytes = tw_malloc(checker->pages.page_size);
  if (!*bytes) return tw_no_memory(checker->error);
  tw_status status = use_pages(checker, page, 1);
  if (!status)
    status = tw_pages_read(&checker->pages, page, 0, *bytes, checker->pages.page_size,
                           checker->error);
  if (status) return status;
  const char *wrong = tw_page_wrong(*bytes, checker->pages.page_size, page, kind);
  if (wrong) return damaged(checker, page, wrong);
  if (kind == TW_PAGE_LEAF) return check_leaf(checker, page, *bytes);
  return check_branch(checker, page, *bytes, level);
}

static tw_status check_tree(tw_checker *checker, const tw_tree *tree, bool of_free) {
  uint64_t meta = checker->meta.txnid & 1;
  checker->seen = (tw_tree){.depth = tree->depth};
  checker->of_free = of_free;
  checker->records = 0;
  checker->has_bound = false;
  tw_status status = tree->root == TW_NO_PAGE ? TW_OK : check_page(checker, tree->root, 0);
  if (status) return status;
  if (checker->seen.branches != tree->branches || checker->seen.leaves != tree->leaves ||
      checker->seen.overflows != tree->overflows || checker->records != tree->entries)
    return damaged(checker, meta, "its counts do not fit its tree");
  return TW_OK;
}

/* -------------------------------------------------------------------- whole */

bool tw_check_transaction(const tw_pages *pages, const tw_tree *tree, uint64_t *out) {
  unsigned char bytes[TW_PAGE_MAX];
  uint64_t page = tree->root;
  tw_page_item node;
  tw_checker quiet = {.pages = *pages};
  if (page == TW_NO_PAGE || !tree->depth) return false;
  for (unsigned level = 0; level < tree->depth; level++) {
    tw_page_kind kind = level + 1 < tree->depth ? TW_PAGE_BRANCH : TW_PAGE_LEAF;
    if (tw_pages_read(pages, page, 0, bytes, pages->page_size, NULL)) return false;
    if (tw_page_wrong(bytes, pages->page_size, page, kind)) return false;
    tw_page_node(bytes, 0, kind, &node);
    if (kind == TW_PAGE_BRANCH) page = node.page;
  }
  return is_about(&node, "transaction") && !about_number(&quiet, page, &node, 8, out);
}

/* When the last write of a transaction fails, LMDB leaves its trees in the older meta page,
   with the number that this had before. */
static tw_status check_other(tw_checker *checker, const tw_meta *other) {
  uint64_t number = 0, newest = checker->meta.txnid;
  if (other->txnid + 1 != newest)
    return damaged(checker, other->txnid & 1, "its number does not fit the other one's");
  if (!other->txnid && other->main.root == TW_NO_PAGE) return TW_OK;
  bool is_read = tw_check_transaction(&checker->pages, &other->main, &number);
  if (is_read && number == other->txnid) return TW_OK;
  if (is_read && checker->failed && number == checker->failed && number == newest + 1)
    return TW_OK;
  return damaged(checker, other->txnid & 1, "its number does not fit its tree");
}

static tw_status choose(tw_checker *checker, const tw_meta metas[2], uint64_t txnid) {
  bool second = metas[1].txnid > metas[0].txnid;
  if (txnid && txnid != metas[txnid & 1].txnid)
    return tw_fail(checker->error, TW_ENOENT, "%.256s: the snapshot is gone",
                   checker->pages.folder);
  if (txnid) second = txnid & 1;
  checker->meta = metas[second];
  return txnid ? TW_OK : check_other(checker, metas + !second);
}

static tw_status check_unwritten(const tw_checker *checker) {
  for (uint64_t page = checker->pages.count; page <= checker->meta.last_page; page++)
    if (!(checker->marks[page / 8] & 1u << (page % 8)))
      return damaged(checker, page, "it is behind the file's end, and not free");
  return TW_OK;
}

static tw_status check_all(tw_checker *checker) {
  const tw_meta *meta = &checker->meta;
  if (meta->last_page < 1 || meta->last_page > checker->pages.count + NEVER_WRITTEN)
    return damaged(checker, meta->txnid & 1, "the last page is outside of the file");
  checker->marks = tw_calloc((size_t)(meta->last_page / 8 + 1), 1);
  if (!checker->marks) return tw_no_memory(checker->error);
  tw_status status = check_tree(checker, &meta->main, false);
  uint64_t records = checker->records;
  if (!status && records < 2)
    status = damaged(checker, meta->txnid & 1, "the records about the spool are missing");
  if (!status) status = check_tree(checker, &meta->free, true);
  if (!status) status = check_unwritten(checker);
  checker->records = records;
  return status;
}

static void tell(const tw_checker *checker, tw_check_result *out) {
  uint64_t pages = checker->meta.last_page + 1, used = checker->used + 2;
  *out = (tw_check_result){.txnid = checker->meta.txnid,
                           .page_size = checker->pages.page_size,
                           .pages = pages,
                           .used = used,
                           .free = checker->free,
                           .lost = pages - used - checker->free,
                           .records = checker->records};
}

tw_status tw_check_file(int fd, const char *folder, uint64_t txnid, uint64_t failed,
                        tw_check_result *out, tw_error *error) {
  tw_meta metas[2];
  bool is_whole[2];
  tw_checker checker = {.failed = failed, .error = error};
  tw_status status = tw_pages_open(fd, folder, &checker.pages, metas, is_whole, error);
  if (!status) status = choose(&checker, metas, txnid);
  if (!status) status = check_all(&checker);
  if (!status && out) tell(&checker, out);
  tw_free(checker.marks);
  for (int i = 0; i < TW_TREE_DEPTH; i++) tw_free(checker.levels[i]);
  return status;
}
