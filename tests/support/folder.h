/// folder.h: a folder of the test's own under /tmp, and paths and files in it.
#ifndef TW_SUPPORT_FOLDER_H
#define TW_SUPPORT_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64]; ///< its path

/// A setup of cmocka, for a test or a group.
static inline int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tidewire-test-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

/// The teardown that goes with it.
static inline int remove_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

/// A path in the folder. Valid until the fourth call from now.
static inline const char *in_folder(const char *name) {
  static char paths[4][512];
  static unsigned turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static inline void write_all(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

#endif
