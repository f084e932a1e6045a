/* What several backends want from the system. */
#include "backends/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

tw_status tw_fail_errno(tw_error *error, int code, const char *subject, const char *action) {
  char reason[96];
  if (strerror_r(code, reason, sizeof reason))
    snprintf(reason, sizeof reason, "errno %d", code);
  /* The reason is what matters: a long path is shortened before it. */
  return tw_fail(error, TW_EIO, "%.256s: %s: %s", subject, action, reason);
}

/* A folder that another process makes meanwhile is as good as ours. */
tw_status tw_make_folders(const char *path, tw_error *error) {
  char *folder = tw_strdup(path);
  if (!folder) return tw_no_memory(error);
  tw_status status = TW_OK;
  for (char *at = strchr(folder + 1, '/'); at && status == TW_OK; at = strchr(at + 1, '/')) {
    *at = '\0';
    if (mkdir(folder, 0777) && errno != EEXIST)
      status = tw_fail_errno(error, errno, folder, "cannot make the folder");
    *at = '/';
  }
  tw_free(folder);
  return status;
}
