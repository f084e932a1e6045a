/// path_scan.h: compiling a path into memory of the caller.
#ifndef TW_EVENT_PATH_SCAN_H
#define TW_EVENT_PATH_SCAN_H

#include "event/path.h"

/// Most steps of a path with wildcards: matching keeps a set of them in one word.
#define TW_PATH_PATTERN_MAX 63

/// @return how many steps `len` bytes of path can have at most
size_t tw_path_scan_steps(size_t len);
/// @param path  its `steps` have room for tw_path_scan_steps(len)
/// @param keys  room for `len` bytes, which the steps point into
tw_status tw_path_scan(const char *text, size_t len, tw_path *path, char *keys,
                       tw_error *error);
/// @return whether a key with this byte needs no quotes
bool tw_path_key_byte(char c);

#endif
