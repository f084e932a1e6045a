/// How far a source was read: against a model that marks every byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "delivery/position.h"
#include "support/oom.h"

static void add(tw_position *position, uint64_t start, uint64_t end, uint64_t lines) {
  tw_range range = {start, end, lines};
  assert_true(tw_position_add(position, &range));
}

static void assert_gap(const tw_position *position, uint64_t offset, uint64_t start,
                       uint64_t end, uint64_t line) {
  uint64_t found_end, found_line;
  assert_int_equal(tw_position_gap(position, offset, &found_end, &found_line), start);
  assert_int_equal(found_end, end);
  assert_int_equal(found_line, line);
}

static void the_offset_moves_as_far_as_there_is_no_gap(void **state) {
  (void)state;
  tw_position position = {.line = 1};
  add(&position, 20, 30, 2);
  assert_int_equal(position.offset, 0);
  assert_gap(&position, 0, 0, 20, 1);
  assert_gap(&position, 25, 30, UINT64_MAX, 3);
  add(&position, 40, 50, 5);
  add(&position, 0, 20, 3);
  assert_int_equal(position.offset, 30);
  assert_int_equal(position.line, 6);
  assert_gap(&position, 0, 30, 40, 6);
  assert_gap(&position, 35, 35, 40, 6);
  add(&position, 30, 40, 1);
  assert_int_equal(position.offset, 50);
  assert_int_equal(position.line, 12);
  assert_int_equal(position.count, 0);
  assert_gap(&position, 0, 50, UINT64_MAX, 12);
  assert_gap(&position, 99, 99, UINT64_MAX, 12);
  tw_position_fini(&position);
}

static void what_is_empty_or_was_committed_before_changes_nothing(void **state) {
  (void)state;
  tw_position position = {.line = 1, .offset = 10};
  add(&position, 5, 5, 9);
  add(&position, 0, 10, 9);
  add(&position, 30, 40, 4);
  add(&position, 30, 40, 4);
  add(&position, 32, 35, 1);
  assert_int_equal(position.offset, 10);
  assert_int_equal(position.line, 1);
  assert_int_equal(position.count, 1);
  assert_int_equal(position.ranges[0].lines, 4);
  tw_position_fini(&position);
}

/* ------------------------------------------------------------------- model */

enum { BYTES = 400 };

/* Each byte ends a line or does not, and is committed or is not. */
typedef struct tw_model {
  bool ends_line[BYTES], is_committed[BYTES];
} tw_model;

static uint64_t lines_in(const tw_model *model, uint64_t start, uint64_t end, bool committed) {
  uint64_t lines = 0;
  for (uint64_t i = start; i < end; i++)
    lines += model->ends_line[i] && (!committed || model->is_committed[i]);
  return lines;
}

static uint64_t behind(const tw_model *model, uint64_t from, bool committed) {
  while (from < BYTES && model->is_committed[from] == committed) from++;
  return from;
}

/* Lines are counted on from gap to gap: none is before the one of the byte before. */
static void compare(const tw_model *model, const tw_position *position) {
  uint64_t offset = behind(model, 0, true), lines = 0, counted = 0;
  assert_int_equal(position->offset, offset);
  assert_int_equal(position->line, 1 + lines_in(model, 0, offset, true));
  for (uint64_t at = 0; at <= BYTES; at++) {
    uint64_t end, line, from = at > offset ? at : offset;
    uint64_t gap = tw_position_gap(position, at, &end, &line);
    assert_int_equal(gap, behind(model, from, true));
    uint64_t next = gap < BYTES ? behind(model, gap, false) : BYTES;
    assert_int_equal(end, next < BYTES ? next : UINT64_MAX);
    uint64_t until = gap < BYTES ? gap : BYTES;
    lines += lines_in(model, counted, until, true);
    counted = until;
    assert_int_equal(line, 1 + lines);
  }
  for (size_t i = 0; i < position->count; i++) {
    assert_true(position->ranges[i].start > (i ? position->ranges[i - 1].end : offset));
    assert_true(position->ranges[i].end > position->ranges[i].start);
  }
}

static void compare_after_writing(const tw_model *model, const tw_position *position) {
  tw_buffer json = {0};
  tw_position back;
  tw_error error;
  assert_true(tw_position_write(position, &json));
  if (tw_position_read(json.data, json.len, &back, &error)) fail_msg("%s", error.message);
  compare(model, &back);
  tw_position_fini(&back);
  tw_buffer_fini(&json);
}

/* Blocks that do not overlap, in any order, some of them twice. */
static void commit_in_any_order(unsigned *seed, tw_model *model, tw_position *position) {
  uint64_t cuts[64] = {0};
  size_t count = 1, done = 0;
  bool was[64] = {false};
  while (cuts[count - 1] < BYTES && count < 63) {
    uint64_t next = cuts[count - 1] + 1 + (uint64_t)(rand_r(seed) % 24);
    cuts[count++] = next < BYTES ? next : BYTES;
  }
  for (int i = 0; i < 400 && done < count - 1; i++) {
    size_t at = (size_t)rand_r(seed) % (count - 1);
    uint64_t lines = lines_in(model, cuts[at], cuts[at + 1], false);
    if (rand_r(seed) % 4 && was[at]) continue;
    done += !was[at];
    was[at] = true;
    add(position, cuts[at], cuts[at + 1], lines);
    for (uint64_t b = cuts[at]; b < cuts[at + 1]; b++) model->is_committed[b] = true;
    compare(model, position);
  }
}

static void it_agrees_with_a_model_of_bytes(void **state) {
  (void)state;
  for (unsigned first = 1; first <= 60; first++) {
    unsigned seed = first;
    tw_model model = {{0}, {0}};
    tw_position position = {.line = 1};
    for (int i = 0; i < BYTES; i++) model.ends_line[i] = rand_r(&seed) % 9 == 0;
    commit_in_any_order(&seed, &model, &position);
    compare_after_writing(&model, &position);
    tw_position_fini(&position);
  }
}

static void overlaps_count_every_byte_once(void **state) {
  (void)state;
  for (unsigned first = 1; first <= 200; first++) {
    unsigned seed = first;
    tw_model model = {{0}, {0}};
    tw_position position = {.line = 1};
    for (int i = 0; i < 60; i++) {
      uint64_t start = (uint64_t)(rand_r(&seed) % BYTES),
               end = start + (uint64_t)(rand_r(&seed) % 40);
      if (end > BYTES) end = BYTES;
      add(&position, start, end, 0);
      for (uint64_t b = start; b < end; b++) model.is_committed[b] = true;
      compare(&model, &position);
    }
    compare_after_writing(&model, &position);
    tw_position_fini(&position);
  }
}

/* -------------------------------------------------------------------- JSON */

static void all_64_bits_survive_as_json(void **state) {
  (void)state;
  tw_position back, position = {.device = UINT64_MAX,
                                .inode = ((uint64_t)1 << 53) + 1,
                                .head_hash = 0x0123456789abcdef,
                                .head_len = 1024,
                                .offset = 5,
                                .line = 2};
  tw_buffer json = {0};
  add(&position, UINT64_MAX - 9, UINT64_MAX, 3);
  assert_true(tw_position_write(&position, &json));
  assert_true(tw_buffer_pad(&json, 1));
  assert_string_equal(json.data,
                      "{\"device\":18446744073709551615,\"inode\":9007199254740993,"
                      "\"head_hash\":\"0123456789abcdef\",\"head_len\":1024,\"offset\":5,"
                      "\"line\":2,\"ranges\":[[18446744073709551606,18446744073709551615,3]]}");
  assert_int_equal(tw_position_read(json.data, json.len, &back, NULL), TW_OK);
  assert_int_equal(back.device, position.device);
  assert_int_equal(back.inode, position.inode);
  assert_int_equal(back.head_hash, position.head_hash);
  assert_int_equal(back.head_len, 1024);
  assert_int_equal(back.count, 1);
  assert_memory_equal(back.ranges, position.ranges, sizeof(tw_range));
  tw_position_fini(&back);
  tw_position_fini(&position);
  tw_buffer_fini(&json);
}

static void what_is_no_position_is_refused(void **state) {
  (void)state;
#define HEAD "{\"device\":1,\"inode\":2,\"head_hash\":\"0000000000000000\",\"head_len\":0,"
  static const struct {
    const char *json;
    tw_status status;
  } cases[] = {
      {"", TW_EJSON},
      {"{\"device\":1", TW_EJSON},
      {"{}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1}", TW_EINVAL},
      {HEAD "\"offset\":-5,\"line\":1,\"ranges\":[]}", TW_EINVAL},
      {HEAD "\"offset\":5.0,\"line\":1,\"ranges\":[]}", TW_EINVAL},
      {HEAD "\"offset\":18446744073709551616,\"line\":1,\"ranges\":[]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":{}}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[7]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[[6,7]]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[[5,7,1]]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[[8,7,1]]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[[6,8,1],[8,9,1]]}", TW_EINVAL},
      {HEAD "\"offset\":5,\"line\":1,\"ranges\":[[6,8,1],[9,10,1]]}", TW_OK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tw_position position;
    tw_error error;
    tw_status status =
        tw_position_read(cases[i].json, strlen(cases[i].json), &position, &error);
    if (status != cases[i].status) fail_msg("%s: %d", cases[i].json, status);
    tw_position_fini(&position);
  }
}

static const char *const long_json = HEAD
    "\"offset\":0,\"line\":1,\"ranges\":[[2,3,0],[4,5,0],[6,7,0],[8,9,0],[10,11,0],"
    "[12,13,0],[14,15,0],[16,17,0],[18,19,0]]}";

static tw_status read_it(void *self) {
  tw_position position;
  (void)self;
  tw_status status = tw_position_read(long_json, strlen(long_json), &position, NULL);
  if (!status) tw_position_fini(&position);
  return status;
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  tw_position position = {.line = 1};
  tw_range range = {5, 6, 1};
  tw_oom_fail_at(0);
  bool done = tw_position_add(&position, &range);
  assert_true(tw_oom_off());
  assert_false(done);
  assert_int_equal(position.count, 0);
  assert_true(tw_oom_fail_each(read_it, NULL) >= 3);
  tw_buffer json = {0};
  tw_oom_fail_at(0);
  done = tw_position_write(&position, &json);
  assert_true(tw_oom_off());
  assert_false(done);
  assert_int_equal(json.len, 0);
}

int main(void) {
  tw_oom_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_offset_moves_as_far_as_there_is_no_gap),
      cmocka_unit_test(what_is_empty_or_was_committed_before_changes_nothing),
      cmocka_unit_test(it_agrees_with_a_model_of_bytes),
      cmocka_unit_test(overlaps_count_every_byte_once),
      cmocka_unit_test(all_64_bits_survive_as_json),
      cmocka_unit_test(what_is_no_position_is_refused),
      cmocka_unit_test(without_memory_nothing_changes),
  };
  return cmocka_run_group_tests(tests, NULL, tw_oom_leaves_nothing);
}
