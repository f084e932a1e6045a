/* A row is a path with a kind; its parts are the routers and backends that live there now. A
   part that leaves for the last time is added to the sum of its row. Of a backend behind fronts
   it is the hindmost, which counts what was delivered, and which generations share.

   A tree enters in two steps, so that it does so wholly or not at all: its parts are marked as
   coming, and when there was memory for all of them, they have come. The second step needs no
   memory and does not look at the tree. */
#include "engine/ledger.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "core/backend.h"
#include "core/inspect.h"

typedef struct part {
  struct part *next;
  tw_backend *backend; /* a reference; or */
  tw_router *router;   /* borrowed */
  size_t trees;        /* that have entered with it */
  size_t coming;       /* how often the one has it that enters just now */
} part;

struct tw_ledger_row {
  tw_ledger_row *next;
  part *parts;
  tw_branch gone; /* sums over what has left; its texts are the row's */
  bool is_new;    /* made for the tree that enters just now */
  char text[];    /* path and kind */
};

typedef struct entering {
  tw_ledger *ledger;
  tw_status status;
} entering;

/* --------------------------------------------------------------------- sums */

static void add_router(tw_router_stats *to, const tw_router *router) {
  tw_router_stats now;
  tw_router_get_stats(router, &now);
  to->received += now.received;
  to->dropped += now.dropped;
  to->unrouted += now.unrouted;
  to->failed += now.failed;
  to->dead += now.dead;
}

static void add_backend(tw_backend_stats *to, const tw_backend *backend) {
  tw_backend_stats now;
  tw_backend_get_stats(backend, &now);
  to->sent += now.sent;
  to->failed += now.failed;
  to->duplicate += now.duplicate;
}

static void add(tw_branch *to, const part *from) {
  if (from->router) add_router(&to->router, from->router);
  else add_backend(&to->backend, from->backend);
}

/* --------------------------------------------------------------------- rows */

static bool is_row(const tw_ledger_row *row, const char *path, const char *kind) {
  bool is_router = !row->gone.kind;
  return strcmp(row->gone.path, path) == 0 && is_router == !kind &&
         (is_router || strcmp(row->gone.kind, kind) == 0);
}

static tw_ledger_row **find_row(tw_ledger *ledger, const char *path, const char *kind) {
  tw_ledger_row **at = &ledger->rows;
  while (*at && !is_row(*at, path, kind)) at = &(*at)->next;
  return at;
}

static tw_ledger_row *new_row(const char *path, const char *kind) {
  size_t path_size = strlen(path) + 1, kind_size = kind ? strlen(kind) + 1 : 0;
  tw_ledger_row *row = tw_calloc(1, sizeof *row + path_size + kind_size);
  if (!row) return NULL;
  row->gone.path = memcpy(row->text, path, path_size);
  row->is_new = true;
  if (kind) row->gone.kind = memcpy(row->text + path_size, kind, kind_size);
  return row;
}

static part **find_part(tw_ledger_row *row, const tw_backend *backend,
                        const tw_router *router) {
  part **at = &row->parts;
  while (*at && ((*at)->backend != backend || (*at)->router != router)) at = &(*at)->next;
  return at;
}

static void free_part(part *gone) {
  tw_backend_unref(gone->backend);
  tw_free(gone);
}

/* -------------------------------------------------------------- enter, leave */

static bool enter_part(tw_ledger_row *row, tw_backend *backend, tw_router *router) {
  part **at = find_part(row, backend, router);
  if (!*at) {
    *at = tw_calloc(1, sizeof **at);
    if (!*at) return false;
    (*at)->backend = backend ? tw_backend_ref(backend) : NULL;
    (*at)->router = router;
  }
  (*at)->coming++;
  return true;
}

static void enter(void *self, const char *path, tw_backend *backend, tw_router *router) {
  entering *to = self;
  if (to->status) return;
  if (backend) backend = tw_backend_hindmost(backend);
  const char *kind = backend ? tw_backend_kind_name(backend) : NULL;
  tw_ledger_row **row = find_row(to->ledger, path, kind);
  if (!*row) *row = new_row(path, kind);
  if (!*row || !enter_part(*row, backend, router)) to->status = TW_ENOMEM;
}

/* What is coming has come; or it goes again, and has not counted anything. */
static void settle_parts(tw_ledger_row *row, bool has_come) {
  for (part **at = &row->parts; *at;) {
    part *it = *at;
    if (has_come) it->trees += it->coming;
    it->coming = 0;
    if (it->trees) {
      at = &it->next;
      continue;
    }
    *at = it->next;
    free_part(it);
  }
}

static void settle(tw_ledger *ledger, bool has_come) {
  for (tw_ledger_row **at = &ledger->rows; *at;) {
    tw_ledger_row *row = *at;
    settle_parts(row, has_come);
    if (has_come || !row->is_new) {
      row->is_new = false;
      at = &row->next;
      continue;
    }
    *at = row->next;
    tw_free(row);
  }
}

tw_status tw_ledger_enter(tw_ledger *ledger, tw_router *root, tw_error *error) {
  entering to = {ledger, TW_OK};
  pthread_mutex_lock(&ledger->mutex);
  enter(&to, "", NULL, root);
  tw_status status = tw_router_visit_with(root, &ledger->path, enter, &to);
  bool has_come = !to.status && !status;
  settle(ledger, has_come);
  pthread_mutex_unlock(&ledger->mutex);
  return has_come ? TW_OK : tw_no_memory(error);
}

static void leave(void *self, const char *path, tw_backend *backend, tw_router *router) {
  if (backend) backend = tw_backend_hindmost(backend);
  tw_ledger_row *row = *find_row(self, path, backend ? tw_backend_kind_name(backend) : NULL);
  part **at = row ? find_part(row, backend, router) : NULL;
  part *gone = at ? *at : NULL;
  if (!gone || --gone->trees) return;
  add(&row->gone, gone);
  *at = gone->next;
  free_part(gone);
}

void tw_ledger_leave(tw_ledger *ledger, tw_router *root) {
  pthread_mutex_lock(&ledger->mutex);
  leave(ledger, "", NULL, root);
  tw_router_visit_with(root, &ledger->path, leave, ledger);
  pthread_mutex_unlock(&ledger->mutex);
}

/* --------------------------------------------------------------------- life */

void tw_ledger_visit(tw_ledger *ledger, tw_branch_visit_fn visit, void *self) {
  pthread_mutex_lock(&ledger->mutex);
  for (tw_ledger_row *row = ledger->rows; row; row = row->next) {
    tw_branch now = row->gone;
    for (part *at = row->parts; at; at = at->next) add(&now, at);
    visit(self, &now);
  }
  pthread_mutex_unlock(&ledger->mutex);
}

void tw_ledger_init(tw_ledger *ledger) {
  pthread_mutex_init(&ledger->mutex, NULL);
  ledger->rows = NULL;
  ledger->path = (tw_buffer){0};
}

static void free_row(tw_ledger_row *row) {
  while (row->parts) {
    part *gone = row->parts;
    row->parts = gone->next;
    free_part(gone);
  }
  tw_free(row);
}

void tw_ledger_fini(tw_ledger *ledger) {
  while (ledger->rows) {
    tw_ledger_row *gone = ledger->rows;
    ledger->rows = gone->next;
    free_row(gone);
  }
  tw_buffer_fini(&ledger->path);
  pthread_mutex_destroy(&ledger->mutex);
}
