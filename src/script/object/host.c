#include "script/object/host.h"

#include <string.h>

#include "base/alloc.h"
#include "core/names.h"

struct tw_host {
  size_t count;
  tw_offer offers[]; /* with names and references of its own */
};

/* --------------------------------------------------------------------- new */

static const tw_offer *find(const tw_host *host, const char *name, bool is_backend) {
  for (size_t i = 0; i < host->count; i++) {
    const tw_offer *offer = &host->offers[i];
    if (!offer->backend == !is_backend && strcmp(offer->name, name) == 0) return offer;
  }
  return NULL;
}

static tw_status check(const tw_host *host, const tw_offer *offer, tw_error *error) {
  if (!*offer->name) return tw_fail(error, TW_EINVAL, "offers: a name must not be empty");
  if (!offer->backend == !offer->processor)
    return tw_fail(error, TW_EINVAL,
                   "offers: \"%.80s\" must be either a backend or a processor, not %s",
                   offer->name, offer->backend ? "both" : "neither");
  if (find(host, offer->name, offer->backend != NULL))
    return tw_fail(error, TW_EINVAL, "offers: there are two %s named \"%.80s\"",
                   offer->backend ? "backends" : "processors", offer->name);
  return TW_OK;
}

static tw_status add(tw_host *host, const tw_offer *offer, tw_error *error) {
  tw_status status = check(host, offer, error);
  if (status) return status;
  char *name = tw_strdup(offer->name);
  if (!name) return tw_no_memory(error);
  host->offers[host->count++] =
      (tw_offer){name, tw_backend_ref(offer->backend), tw_processor_ref(offer->processor)};
  return TW_OK;
}

tw_status tw_host_new(const tw_offer *offers, tw_host **out, tw_error *error) {
  size_t count = 0;
  *out = NULL;
  while (offers && offers[count].name) count++;
  tw_host *host = tw_calloc(1, sizeof *host + count * sizeof *host->offers);
  if (!host) return tw_no_memory(error);
  tw_status status = TW_OK;
  for (size_t i = 0; i < count && status == TW_OK; i++) status = add(host, &offers[i], error);
  if (status) tw_host_free(host);
  else *out = host;
  return status;
}

void tw_host_free(tw_host *host) {
  if (!host) return;
  for (size_t i = 0; i < host->count; i++) {
    tw_free((char *)host->offers[i].name);
    tw_backend_unref(host->offers[i].backend);
    tw_processor_unref(host->offers[i].processor);
  }
  tw_free(host);
}

/* -------------------------------------------------------------------- find */

static tw_status fail_unknown(const tw_host *host, const char *name, bool is_backend,
                              tw_error *error) {
  const char *known[32];
  size_t count = 0;
  for (size_t i = 0; i < host->count && count < sizeof known / sizeof *known; i++)
    if (!host->offers[i].backend == !is_backend) known[count++] = host->offers[i].name;
  return tw_fail_unknown(
      error, TW_ENOENT,
      is_backend ? "the host offers no backend" : "the host offers no processor", name, known,
      count, "it offers none");
}

static const tw_offer *look_up(const tw_host *host, const char *name, bool is_backend,
                               tw_error *error) {
  const char *kind = is_backend ? "backends" : "processors";
  if (!host) {
    tw_fail(error, TW_ENOENT,
            "%s.host \"%.80s\": no host offers anything here; it is for scripts that a "
            "program runs in an engine: see docs/embedding.md",
            kind, name);
    return NULL;
  }
  const tw_offer *offer = find(host, name, is_backend);
  if (!offer) fail_unknown(host, name, is_backend, error);
  return offer;
}

tw_status tw_host_backend(const tw_host *host, const char *name, tw_backend **out,
                          tw_error *error) {
  const tw_offer *offer = look_up(host, name, true, error);
  *out = offer ? tw_backend_ref(offer->backend) : NULL;
  return offer ? TW_OK : TW_ENOENT;
}

tw_status tw_host_processor(const tw_host *host, const char *name, tw_processor **out,
                            tw_error *error) {
  const tw_offer *offer = look_up(host, name, false, error);
  *out = offer ? tw_processor_ref(offer->processor) : NULL;
  return offer ? TW_OK : TW_ENOENT;
}
