/* Closing a target may take as long as the backend likes: it flushes. So it is done by the
   delivery's threads, as any other call, and a delivery that is being stopped need not wait for
   it. */
#include "delivery/delivery_core.h"

void tw_delivery_retire(tw_delivery *delivery) {
  tw_aim *aim = delivery->aim;
  if (!aim) return;
  delivery->aim = NULL;
  aim->next = delivery->retired;
  delivery->retired = aim;
}

static tw_aim *take_unused(tw_delivery *delivery) {
  tw_aim **at = &delivery->retired;
  while (*at && (*at)->calls) at = &(*at)->next;
  tw_aim *aim = *at;
  if (aim) *at = aim->next;
  return aim;
}

/* @param[out] lost  events that it gave up, of those it had taken */
static tw_status close_aim(tw_aim *aim, uint64_t *lost, tw_error *error) {
  tw_status status = aim->is_open ? tw_backend_unuse(aim->backend, lost, error) : TW_OK;
  tw_backend_unref(aim->backend);
  tw_free(aim);
  return status;
}

bool tw_delivery_sweep(tw_delivery *delivery, tw_carrier *carrier) {
  uint64_t lost = 0;
  tw_error error;
  tw_aim *aim = take_unused(delivery);
  if (!aim) return false;
  if (carrier) {
    carrier->is_calling = true;
    carrier->is_late = true; /* nobody counts how long that takes */
  }
  if (delivery->is_stopping) tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
  tw_error_clear(&error);
  tw_status status = close_aim(aim, &lost, &error);
  tw_delivery_lock(delivery);
  if (carrier) carrier->is_calling = false;
  if (status && !delivery->is_abandoned) tw_delivery_tell(delivery, lost, &error);
  return true;
}
