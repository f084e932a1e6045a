/// status_command.c: what a daemon says of itself, as a table.
#include <stdio.h>
#include <string.h>

#include "app/daemon.h"
#include "app/exit.h"
#include "app/reply.h"

typedef struct tw_sheet {
  tw_event *answer;
  tw_buffer out;
  int width; ///< of the first column
} tw_sheet;

/* --------------------------------------------------------------------- rows */

static void cell(tw_sheet *sheet, uint64_t value) {
  char text[TW_GROUPED_ROOM];
  tw_buffer_printf(&sheet->out, "%14s", tw_grouped(value, text));
}

static void begin_row(tw_sheet *sheet, const char *name) {
  size_t from = sheet->out.len;
  tw_buffer_append(&sheet->out, "  ", 2);
  tw_term_clean(&sheet->out, name);
  int missing = sheet->width + 2 - (int)(sheet->out.len - from);
  if (missing > 0) tw_buffer_printf(&sheet->out, "%*s", missing, "");
}

static void count_row(tw_sheet *sheet, const char *name) {
  begin_row(sheet, name);
  cell(sheet, tw_reply_count(sheet->answer, name));
}

static void end_row(tw_sheet *sheet) { tw_buffer_byte(&sheet->out, '\n'); }

enum { CAUSES = 5 };

static uint64_t dropped_by(const tw_sheet *sheet, int cause, const char **name) {
  static const char *const causes[CAUSES] = {"newest", "oldest", "timeout", "closed", "memory"};
  char path[32];
  snprintf(path, sizeof path, "dropped.%s", causes[cause]);
  *name = causes[cause];
  return tw_reply_count(sheet->answer, path);
}

static void dropped_row(tw_sheet *sheet) {
  const char *name, *separator = " ";
  uint64_t total = 0;
  for (int i = 0; i < CAUSES; i++) total += dropped_by(sheet, i, &name);
  begin_row(sheet, "dropped");
  cell(sheet, total);
  for (int i = 0; i < CAUSES; i++) {
    uint64_t count = dropped_by(sheet, i, &name);
    if (!count) continue;
    tw_buffer_printf(&sheet->out, "%s %s %llu", separator, name, (unsigned long long)count);
    separator = ",";
  }
  end_row(sheet);
}

static void reloads_row(tw_sheet *sheet) {
  uint64_t refused = tw_reply_count(sheet->answer, "refused");
  const char *why = tw_reply_text(sheet->answer, "refusal");
  count_row(sheet, "reloads");
  if (refused) tw_buffer_printf(&sheet->out, "  and %llu refused", (unsigned long long)refused);
  end_row(sheet);
  if (!*why) return;
  tw_buffer_printf(&sheet->out, "the last one was refused: ");
  tw_term_clean(&sheet->out, why);
  end_row(sheet);
}

/* ----------------------------------------------------------------- backends */

static const char *member(size_t index, const char *key, char path[64]) {
  snprintf(path, 64, "backends[%zu].%s", index, key);
  return path;
}

/// @return false when there are no more
static bool name_backend(tw_sheet *sheet, size_t index, tw_buffer *out) {
  char path[64];
  const char *name = tw_reply_text(sheet->answer, member(index, "path", path));
  if (!*name) return false;
  const char *kind = tw_reply_text(sheet->answer, member(index, "kind", path));
  out->len = 0;
  tw_buffer_printf(out, "%s (%s)", name, kind);
  return tw_buffer_pad(out, 1);
}

static bool has_outbox(tw_sheet *sheet, size_t index) {
  char path[64];
  return *tw_reply_text(sheet->answer, member(index, "outbox.breaker", path)) != 0;
}

/// How far delivery is behind; nothing for a backend that takes its events at once.
static void outbox_cells(tw_sheet *sheet, size_t index) {
  static const char *const counts[] = {"outbox.waiting", "outbox.retries", "outbox.dead",
                                       "outbox.shed"};
  char path[64];
  if (!has_outbox(sheet, index)) return;
  for (int i = 0; i < 4; i++)
    cell(sheet, tw_reply_count(sheet->answer, member(index, counts[i], path)));
  tw_buffer_printf(&sheet->out, "%14s",
                   tw_reply_text(sheet->answer, member(index, "outbox.breaker", path)));
}

static void backend_heading(tw_sheet *sheet, bool with_outboxes) {
  tw_buffer_printf(&sheet->out, "%-*s%14s%14s", sheet->width + 2, "backend", "sent", "failed");
  if (with_outboxes)
    tw_buffer_printf(&sheet->out, "%14s%14s%14s%14s%14s", "waiting", "retries", "dead", "shed",
                     "breaker");
  end_row(sheet);
}

static void backend_rows(tw_sheet *sheet) {
  char path[64];
  tw_buffer name = {0};
  bool with_outboxes = false;
  for (size_t i = 0; name_backend(sheet, i, &name); i++)
    if (has_outbox(sheet, i)) with_outboxes = true;
  for (size_t i = 0; name_backend(sheet, i, &name); i++) {
    if (i == 0) backend_heading(sheet, with_outboxes);
    begin_row(sheet, name.data);
    cell(sheet, tw_reply_count(sheet->answer, member(i, "sent", path)));
    cell(sheet, tw_reply_count(sheet->answer, member(i, "failed", path)));
    outbox_cells(sheet, i);
    end_row(sheet);
  }
  tw_buffer_fini(&name);
}

static void measure(tw_sheet *sheet) {
  tw_buffer name = {0};
  sheet->width = 12;
  for (size_t i = 0; name_backend(sheet, i, &name); i++)
    if ((int)name.len > sheet->width) sheet->width = (int)name.len;
  tw_buffer_fini(&name);
}

/* -------------------------------------------------------------------- sheet */

/// The two largest units: `2 h 13 min`.
static void write_age(tw_buffer *out, double seconds) {
  static const struct {
    uint64_t seconds;
    const char *name;
  } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  uint64_t left = seconds > 0 ? (uint64_t)seconds : 0;
  size_t i = 0;
  while (i < 3 && left < units[i].seconds) i++;
  tw_buffer_printf(out, "%llu %s", (unsigned long long)(left / units[i].seconds),
                   units[i].name);
  if (i < 3)
    tw_buffer_printf(out, " %llu %s",
                     (unsigned long long)(left % units[i].seconds / units[i + 1].seconds),
                     units[i + 1].name);
}

static void heading(tw_sheet *sheet) {
  tw_value uptime;
  uint64_t workers = tw_reply_count(sheet->answer, "workers");
  tw_buffer_printf(&sheet->out, "generation %llu of ",
                   (unsigned long long)tw_reply_count(sheet->answer, "generation"));
  tw_term_clean(&sheet->out, tw_reply_text(sheet->answer, "script"));
  tw_buffer_printf(&sheet->out, ", process %llu, %llu worker%s",
                   (unsigned long long)tw_reply_count(sheet->answer, "pid"),
                   (unsigned long long)workers, workers == 1 ? "" : "s");
  if (!tw_event_get(sheet->answer, "uptime", &uptime)) {
    tw_buffer_printf(&sheet->out, ", for ");
    write_age(&sheet->out, uptime.number);
  }
  end_row(sheet);
}

static int show(tw_event *answer) {
  static const char *const counts[] = {"received", "processed", "waiting"};
  tw_sheet sheet = {.answer = answer};
  measure(&sheet);
  heading(&sheet);
  for (int i = 0; i < 3; i++) {
    count_row(&sheet, counts[i]);
    end_row(&sheet);
  }
  dropped_row(&sheet);
  reloads_row(&sheet);
  backend_rows(&sheet);
  fwrite(sheet.out.data, 1, sheet.out.len, stdout);
  tw_buffer_fini(&sheet.out);
  return fflush(stdout) ? TW_EXIT_OUTPUT : TW_EXIT_DONE;
}

static int refused(const tw_reply *reply, const char *command, tw_term *term) {
  tw_term_complain(term, "%s: %s: %s", command, reply->options.operands[0],
                   tw_reply_text(reply->event, "error"));
  return TW_EXIT_UNAVAILABLE;
}

int tw_command_status(int argc, char **argv, tw_term *term) {
  tw_reply reply;
  int status = tw_reply_get(argc, argv, term, &reply);
  if (!status && reply.event) {
    if (!tw_reply_is(reply.event, "ok")) status = refused(&reply, argv[0], term);
    else if (!reply.options.json && !reply.options.quiet) status = show(reply.event);
  }
  tw_reply_fini(&reply);
  return status;
}
