/// text.h: strings and numbers between memory and JSON text.
#ifndef TW_EVENT_TEXT_H
#define TW_EVENT_TEXT_H

#include "base/buffer.h"
#include "base/status.h"
#include "event/node.h"

/// @return `len` when the text is UTF-8 (RFC 3629), otherwise the offset of the first bad
///         sequence. At most `len` bytes are read.
size_t tw_utf8_check(const char *text, size_t len);

/// @return whether the bytes are what a JSON string may hold as they are: UTF-8 that needs no
///         escape
bool tw_string_is_plain(const char *bytes, size_t len);

/// Appends a JSON string with quotes. Escapes only what RFC 8259 wants escaped; an encoded
/// surrogate (WTF-8) is written as its \u escape. TW_EJSON, with the position, when the
/// bytes are not UTF-8; nothing is appended then.
tw_status tw_write_string(tw_buffer *out, const char *bytes, size_t len, tw_error *error);
/// Unescapes what is between the quotes of a valid JSON string.
/// @param out  room for `len` bytes. @return the bytes written
size_t tw_unescape(const char *text, size_t len, char *out);

/// Room for any number as text, with a NUL.
#define TW_NUMBER_ROOM 32
/// @return the length
size_t tw_write_integer(int64_t value, char out[TW_NUMBER_ROOM]);
/// The shortest text that reads back as the same double, always with a fraction or an
/// exponent. The value is finite. @return the length
size_t tw_write_number(double value, char out[TW_NUMBER_ROOM]);
/// Reads a JSON integer. @return false when it does not fit
bool tw_read_integer(const char *text, size_t len, int64_t *out);
/// Reads any JSON number, correctly rounded, whatever the locale. The byte behind it is
/// readable and none of it, as in JSON text.
double tw_read_number(const char *text, size_t len);

#endif
