/* Cursors of files: whatever is written, rotated, truncated, and wherever reading is killed,
   each line is committed once. The store of cursors stands in for a spool: what is committed is
   there, whatever happens; what was handed out and not committed is gone with the reader. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "app/operand.h"
#include "support/folder.h"
#include "support/oom.h"

/* ------------------------------------------------------------------- cursors */

enum { MOST_FILES = 64, MOST_LINES = 40000 };

typedef struct store {
  tw_position positions[MOST_FILES];
  size_t count;
  unsigned forgotten;
} store;

static tw_position *lookup(store *self, const tw_file_id *id) {
  for (size_t i = 0; i < self->count; i++)
    if (self->positions[i].device == id->device && self->positions[i].inode == id->inode)
      return &self->positions[i];
  return NULL;
}

static tw_status get_position(void *self, const char *source, const tw_file_id *file,
                              tw_position *out, tw_error *error) {
  const tw_position *found = lookup(self, file);
  (void)source, (void)error;
  *out = (tw_position){0};
  if (!found) return TW_OK;
  *out = *found;
  out->ranges = NULL;
  out->count = out->cap = 0;
  for (size_t i = 0; i < found->count; i++)
    assert_true(tw_position_add(out, &found->ranges[i]));
  return TW_OK;
}

static tw_status visit_positions(void *self, const char *source, tw_position_visit_fn visit,
                                 void *with, tw_error *error) {
  const store *from = self;
  (void)source, (void)error;
  for (size_t i = 0; i < from->count; i++) visit(with, &from->positions[i]);
  return TW_OK;
}

static tw_status forget_position(void *self, const char *source, const tw_file_id *file,
                                 tw_error *error) {
  store *from = self;
  tw_position *found = lookup(from, file);
  (void)source, (void)error;
  assert_non_null(found);
  tw_position_fini(found);
  *found = from->positions[--from->count];
  from->forgotten++;
  return TW_OK;
}

static void add_range(store *to, const tw_block *block, uint64_t lines) {
  tw_position *position = lookup(to, block->file);
  if (!position) {
    assert_true(to->count < MOST_FILES);
    position = &to->positions[to->count++];
    *position = (tw_position){.device = block->file->device,
                              .inode = block->file->inode,
                              .head_hash = block->file->head_hash,
                              .head_len = block->file->head_len,
                              .line = 1};
  }
  const tw_range range = {block->offset, block->offset + block->tally.bytes, lines};
  assert_true(tw_position_add(position, &range));
}

static void free_store(store *self) {
  for (size_t i = 0; i < self->count; i++) tw_position_fini(&self->positions[i]);
  self->count = 0;
}

/* --------------------------------------------------------------------- world */

/* Who writes, and who reads. */
typedef struct world {
  uint32_t seed;
  store store;
  tw_cursors cursors;
  tw_intake intake;
  tw_term term;
  int fd;                    /* of the writer: app.log, or what it was */
  bool is_half;              /* the last line is not finished */
  unsigned written;          /* lines begun */
  unsigned seen[MOST_LINES]; /* times that a line was committed */
  bool may_lack[MOST_LINES]; /* it was there when its file was truncated */
  time_t clock;
  tw_block *held[16];
  size_t held_count;
  unsigned line_checks;
} world;

static uint32_t any(world *w, uint32_t below) {
  w->seed = w->seed * 1664525u + 1013904223u;
  return (w->seed >> 8) % below;
}

static void touch(world *w, int fd) {
  const struct timespec times[2] = {{.tv_sec = w->clock}, {.tv_sec = w->clock}};
  w->clock++;
  assert_int_equal(0, futimens(fd, times));
}

static void open_log(world *w) {
  if (w->fd >= 0) close(w->fd);
  w->fd = open(in_folder("app.log"), O_WRONLY | O_CREAT | O_APPEND, 0666);
  assert_true(w->fd >= 0);
  touch(w, w->fd);
}

static void put(world *w, const char *text, size_t len) {
  assert_int_equal(len, write(w->fd, text, len));
  touch(w, w->fd);
}

/* Lines of any length: the number, and stuffing. */
static void write_line(world *w, bool whole) {
  char line[600];
  int len = snprintf(line, sizeof line, "%u ", w->written), head = len;
  unsigned stuffing = any(w, 8) ? any(w, 20) : any(w, 500);
  memset(line + len, 'x', stuffing);
  len += (int)stuffing;
  line[len++] = '\n';
  assert_true(w->written < MOST_LINES);
  w->written++;
  size_t part = whole ? (size_t)len : (size_t)head + any(w, (uint32_t)(len - head));
  put(w, line, part);
  if (whole) return;
  w->is_half = true;
}

static void end_line(world *w) {
  if (w->is_half) put(w, "y\n", 2);
  w->is_half = false;
}

static void append(world *w) {
  end_line(w);
  for (unsigned n = any(w, 5) ? any(w, 8) : any(w, 300); n; n--) write_line(w, true);
  if (any(w, 4) == 0 && w->written + 2 < MOST_LINES) write_line(w, false);
}

/* Whatever was not committed by now: nobody can know of it. */
static void may_lose(world *w) {
  for (unsigned i = 0; i < w->written; i++)
    if (!w->seen[i]) w->may_lack[i] = true;
}

/* As logrotate does it; a file is found again only when something was read from it, or from an
   older one. The writer goes on with the old file now and then. */
static void rotate(world *w) {
  bool is_known = w->store.count > 0;
  for (int n = 7; n; n--) {
    char from[32], to[32];
    snprintf(from, sizeof from, "app.log.%d", n);
    snprintf(to, sizeof to, "app.log.%d", n + 1);
    rename(in_folder(from), in_folder(to));
  }
  assert_int_equal(0, rename(in_folder("app.log"), in_folder("app.log.1")));
  if (any(w, 2)) append(w);
  end_line(w);
  if (!is_known) may_lose(w);
  open_log(w);
}

static void truncate_log(world *w) {
  struct stat info;
  end_line(w);
  assert_int_equal(0, fstat(w->fd, &info));
  if (!info.st_size) return;
  may_lose(w);
  assert_int_equal(0, ftruncate(w->fd, 0));
  for (unsigned n = any(w, 3); n; n--) write_line(w, true);
  touch(w, w->fd);
}

static void let_world_go_on(world *w, bool truncates) {
  switch (any(w, truncates ? 8 : 7)) {
    case 0:
    case 1:
    case 2:
    case 3: append(w); break;
    case 4:
    case 5: break;
    case 6:
      if (any(w, 2)) rotate(w);
      break;
    default: truncate_log(w);
  }
}

/* -------------------------------------------------------------------- reader */

static void commit(world *w, tw_block *block) {
  tw_block_at at = {0};
  tw_line line;
  uint64_t lines = 0;
  for (; tw_block_next(block, &at, &line); lines++) {
    unsigned number = 0;
    assert_int_equal(1, sscanf(line.text, "%u ", &number));
    assert_true(number < w->written);
    w->seen[number]++;
    assert_int_equal(block->line + lines, line.number);
  }
  add_range(&w->store, block, lines);
  tw_block_unref(block, 1);
}

static void commit_one(world *w, size_t index) {
  tw_block *block = w->held[index];
  w->held[index] = w->held[--w->held_count];
  commit(w, block);
}

static void settle(world *w) {
  while (w->held_count) commit_one(w, any(w, (uint32_t)w->held_count));
}

/* Blocks know the numbers of their lines, however the file was read up to here. */
static void check_line(world *w, const tw_operand *operand, const tw_block *block) {
  uint64_t lines = 1;
  char text[4096];
  for (uint64_t at = 0; at < block->offset;) {
    size_t want = block->offset - at < sizeof text ? (size_t)(block->offset - at) : sizeof text;
    ssize_t got = pread(operand->input.fd, text, want, (off_t)at);
    if (got <= 0) return; /* truncated meanwhile */
    for (ssize_t i = 0; i < got; i++) lines += text[i] == '\n';
    at += (uint64_t)got;
  }
  assert_int_equal(lines, block->line);
  w->line_checks++;
}

/* @return false: the reader was killed */
static bool read_input(world *w, tw_operand *operand, unsigned risk) {
  tw_block *block;
  tw_error error;
  while (tw_input_has_more(&operand->input)) {
    assert_int_equal(TW_OK, tw_input_next(&operand->input, &block, &error));
    if (block) {
      if (!any(w, 3)) check_line(w, operand, block);
      w->held[w->held_count++] = block;
      if (risk && any(w, risk) == 0) return false;
      while (w->held_count == 16 || (w->held_count && any(w, 2)))
        commit_one(w, any(w, (uint32_t)w->held_count));
    } else if (!operand->input.ended) {
      assert_int_equal(TW_OK, tw_input_fill(&operand->input, &error));
    }
  }
  return !risk || any(w, risk) != 0;
}

static bool pass(world *w, tw_operand *operand, unsigned risk) {
  tw_error error;
  bool opened = true, lives = true;
  settle(w);
  assert_int_equal(TW_OK, tw_operand_begin(operand, &error));
  while (lives && opened) {
    settle(w);
    assert_int_equal(TW_OK, tw_operand_open(operand, &opened, &error));
    if (opened) lives = read_input(w, operand, risk);
  }
  if (!lives) return false;
  settle(w);
  tw_operand_end(operand);
  return true;
}

/* One run of the reader: passes while the name leads to something new; sometimes it follows. */
static void run(world *w, unsigned risk, bool truncates) {
  tw_operand operand;
  tw_error error;
  bool follows = risk && any(w, 2);
  assert_int_equal(TW_OK, tw_operand_init(&operand, in_folder("app.log"), &w->cursors, follows,
                                          &w->term, &w->intake, 1024, &error));
  bool lives;
  do lives = pass(w, &operand, risk);
  while (lives && tw_operand_look(&operand) == TW_OPERAND_REPLACED);
  for (unsigned n = any(w, 8); lives && follows && n; n--) {
    let_world_go_on(w, truncates);
    tw_operand_news news = tw_operand_look(&operand);
    if (news == TW_OPERAND_REWRITTEN) tw_input_close(&operand.input);
    if (news != TW_OPERAND_SAME && operand.input.fd >= 0) {
      tw_input_resume(&operand.input);
      lives = read_input(w, &operand, risk);
      if (lives) settle(w);
    }
    if (lives && (news == TW_OPERAND_REPLACED || news == TW_OPERAND_REWRITTEN))
      lives = pass(w, &operand, risk);
  }
  while (w->held_count) { /* killed: what was not committed never was */
    tw_block_unref(w->held[--w->held_count], 1);
  }
  tw_operand_fini(&operand);
}

static void nothing_rejected(void *self, const tw_block *block, const tw_line *line,
                             const tw_error *why) {
  (void)self, (void)block, (void)line, (void)why;
}
static void nothing_done(void *self, const tw_block *block) { (void)self, (void)block; }

static void begin_world(world *w, uint32_t seed, time_t clock) {
  static const tw_intake_ops ops = {nothing_rejected, nothing_done};
  memset(w, 0, sizeof *w);
  w->seed = seed;
  w->clock = clock;
  w->fd = -1;
  w->cursors = (tw_cursors){get_position, visit_positions, forget_position, &w->store};
  tw_term_init(&w->term);
  tw_intake_init(&w->intake, &ops, NULL);
  open_log(w);
}

static void end_world(world *w) {
  close(w->fd);
  free_store(&w->store);
  tw_intake_fini(&w->intake);
  for (int n = 0; n < 10; n++) {
    char name[32];
    snprintf(name, sizeof name, n ? "app.log.%d" : "app.log", n);
    unlink(in_folder(name));
  }
}

/* ---------------------------------------------------------------------- tests */

static void live(world *w, bool truncates) {
  for (unsigned n = 5 + any(w, 20); n; n--) {
    let_world_go_on(w, truncates);
    run(w, 2 + any(w, 30), truncates);
  }
  end_line(w);
  run(w, 0, truncates);
}

/* To look at one: SEED=33 build/dev/tests/unit/app_operand_test. */
static uint32_t first_seed(void) {
  const char *seed = getenv("SEED");
  return seed ? (uint32_t)strtoul(seed, NULL, 10) : 0;
}

static void each_line_is_committed_once_whatever_stops_and_rotates(void **state) {
  (void)state;
  static world w;
  for (uint32_t seed = first_seed(); seed < 300; seed++) {
    begin_world(&w, seed, time(NULL) - (seed % 2 ? 0 : 1000000));
    live(&w, false);
    for (unsigned i = 0; i < w.written; i++)
      if (w.seen[i] != 1 && !(w.seen[i] == 0 && w.may_lack[i]))
        fail_msg("seed %u: line %u was read %u times", seed, i, w.seen[i]);
    end_world(&w);
  }
}

static void a_truncated_file_costs_only_what_was_not_read_and_doubles_nothing(void **state) {
  (void)state;
  static world w;
  for (uint32_t seed = first_seed(); seed < 300; seed++) {
    begin_world(&w, seed, time(NULL) - (seed % 2 ? 0 : 1000000));
    live(&w, true);
    for (unsigned i = 0; i < w.written; i++)
      if (w.seen[i] != 1 && !(w.seen[i] == 0 && w.may_lack[i]))
        fail_msg("seed %u: line %u was read %u times", seed, i, w.seen[i]);
    end_world(&w);
  }
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
  const struct CMUnitTest tests[] = {
      IN_FOLDER(each_line_is_committed_once_whatever_stops_and_rotates),
      IN_FOLDER(a_truncated_file_costs_only_what_was_not_read_and_doubles_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
