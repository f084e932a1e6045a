/* reader_variants.c: which index implementations run on this processor. */
#include "event/reader.h"
#include "event/reader_index.h"

#define VARIANT(name)                                                                \
  static tw_status read_##name(const char *text, size_t len, uint32_t max_depth,     \
                               tw_node *nodes, size_t *count, tw_error *error) {     \
    return tw_read_with(tw_index_##name, text, len, max_depth, nodes, count, error); \
  }

VARIANT(portable)
#if defined(__x86_64__)
VARIANT(sse2)
VARIANT(avx2)
VARIANT(avx512)

static inline bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
}

static inline bool has_avx512(void) {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

/* Each runs where all that stand behind it run. */
static const struct variant {
  const char *name;
  tw_read_fn read;
} variants[] = {{"portable", read_portable},
#if defined(__x86_64__)
                {"sse2", read_sse2},
                {"avx2", read_avx2},
                {"avx512", read_avx512}
#endif
};

tw_read_fn tw_reader_variant(size_t index, const char **name) {
  size_t count = sizeof variants / sizeof *variants;
#if defined(__x86_64__)
  count -= has_avx512() ? 0 : has_avx2() ? 1 : 2;
#endif
  if (index >= count) return NULL;
  *name = variants[index].name;
  return variants[index].read;
}

tw_index_fn tw_index_best(void) {
#if defined(__x86_64__)
  return has_avx512() ? tw_index_avx512 : has_avx2() ? tw_index_avx2 : tw_index_sse2;
#else
  return tw_index_portable;
#endif
}
