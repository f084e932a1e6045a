/// check.c: loads scripts without opening anything, and shows their routers as trees.
///
/// Loading runs the script: it makes its routers, processors and backends, which is where
/// names and options are checked. Files and databases are opened with the router, which
/// never happens here; so a check may run beside the real thing. The script's tests run on a
/// state of their own, whose backends are all in memory, as before a reload.
///
/// Several scripts are checked to the last, whatever the first ones were like.
#include "app/check.h"

#include <stdio.h>

#include "app/exit.h"
#include "app/options.h"
#include "core/inspect.h"
#include "core/kind.h"
#include "engine/options.h"
#include "script/script.h"

/// Indent of the entries of a router at a depth; the root's are at 1.
static void indent(unsigned depth) { printf("%*s", (int)(2 * depth), ""); }

/// `video/db` stands one deeper than `video`.
static unsigned depth_of(const char *path) {
  unsigned depth = 1;
  for (; *path; path++) depth += *path == '/';
  return depth;
}

static void show_processor(void *self, const char *name, tw_on_error on_error) {
  const unsigned *depth = self;
  indent(*depth);
  printf("processor %s", name);
  switch (on_error) {
    case TW_ON_ERROR_PASS: break;
    case TW_ON_ERROR_DROP: printf(" (on error: drop)"); break;
    case TW_ON_ERROR_DEAD_LETTER: printf(" (on error: dead letter)"); break;
  }
  printf("\n");
}

static void show_inside(tw_router *router, unsigned depth) {
  tw_router_visit_processors(router, show_processor, &depth);
  if (!tw_router_has_route(router)) return;
  indent(depth);
  printf("route\n");
}

static void show_child(void *self, const char *path, tw_backend *backend, tw_router *child) {
  (void)self;
  const char *slash = strrchr(path, '/');
  unsigned depth = depth_of(path);
  indent(depth);
  if (backend) printf("%s: %s\n", slash ? slash + 1 : path, tw_backend_kind_name(backend));
  if (!child) return;
  printf("%s: router\n", slash ? slash + 1 : path);
  show_inside(child, depth + 1);
}

static tw_status check_engine(tw_script *script, tw_error *error) {
  char *text;
  size_t len;
  tw_engine_options engine = {0};
  tw_status status = tw_script_engine_options(script, &text, &len, error);
  if (status == TW_OK) status = tw_engine_options_read("{}", 2, text, len, &engine, error);
  tw_engine_options_fini(&engine);
  tw_free(text);
  return status;
}

static tw_status run_tests(const char *path, const tw_script_options *options,
                           tw_error *error) {
  const tw_script_setup apart = {.is_rehearsal = true, .options = options};
  tw_script *script;
  tw_status status = tw_script_load_as(path, &apart, &script, error);
  if (status == TW_OK) status = tw_script_rehearse(script, error);
  tw_script_free(script);
  return status;
}

/// What is wrong with a script that can be loaded is told of its file, for it has no line.
static tw_status load(const char *path, const tw_script_options *options, tw_script **out,
                      tw_error *error) {
  tw_status status = tw_script_load_with(path, options, out, error);
  if (status) return status;
  status = check_engine(*out, error);
  if (status == TW_OK && tw_script_has_tests(*out)) status = run_tests(path, options, error);
  if (status == TW_OK) return TW_OK;
  tw_error_prefix(error, "%s: ", path);
  tw_script_free(*out);
  *out = NULL;
  return status;
}

/// The message of a bad script stands alone, as compilers write theirs, for editors to parse.
static int check(const char *path, const tw_options *options, tw_term *term) {
  tw_script *script;
  tw_error error;
  if (load(path, &options->script, &script, &error)) {
    tw_buffer line = {0};
    tw_term_clean(&line, error.message);
    tw_buffer_byte(&line, '\n');
    tw_term_write(term, &line);
    tw_buffer_fini(&line);
    return TW_EXIT_SCRIPT;
  }
  if (!options->quiet) {
    tw_router *router = tw_script_router(script);
    printf("%s: ok\n", path);
    show_inside(router, 1);
    tw_router_visit(router, show_child, NULL);
  }
  tw_script_free(script);
  return TW_EXIT_DONE;
}

int tw_command_check(int argc, char **argv, tw_term *term) {
  tw_options options;
  tw_parsed parsed = tw_options_check_command(argc, argv, term, &options);
  if (!parsed.go_on) return parsed.status;
  int worst = TW_EXIT_DONE;
  for (int i = 0; i < options.operand_count; i++) {
    int status = check(options.operands[i], &options, term);
    if (status) worst = status;
  }
  if (fflush(stdout) && !worst) worst = TW_EXIT_OUTPUT;
  return worst;
}
