/* Closing a target may take as long as the backend likes: it flushes. So it is done by the
   delivery's threads, as any other call, and a delivery that is being stopped need not wait for
   it.

   A flush delivers nothing here, as `deliver` has done that. But a backend keeps for it what
   was wrong and cost no event, such as a rotation that failed, and would otherwise tell it when
   it is closed: so it is also flushed when all is through. That is neither retried nor counted
   by the breaker. */
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

/* Nobody counts how long the call takes. */
static void go_out(tw_delivery *delivery, tw_carrier *carrier) {
  if (carrier) carrier->is_calling = carrier->is_late = true;
  if (delivery->is_stopping) tw_delivery_stir(delivery);
  tw_delivery_unlock(delivery);
}

static void come_back(tw_delivery *delivery, tw_carrier *carrier) {
  tw_delivery_lock(delivery);
  if (carrier) carrier->is_calling = false;
}

bool tw_delivery_sweep(tw_delivery *delivery, tw_carrier *carrier) {
  uint64_t lost = 0;
  tw_error error;
  tw_aim *aim = take_unused(delivery);
  if (!aim) return false;
  tw_error_clear(&error);
  go_out(delivery, carrier);
  tw_status status = close_aim(aim, &lost, &error);
  come_back(delivery, carrier);
  if (status && !delivery->is_abandoned) tw_delivery_tell(delivery, lost, &error);
  return true;
}

bool tw_delivery_flush(tw_delivery *delivery, tw_carrier *carrier) {
  uint64_t lost = 0;
  tw_error error;
  tw_aim *aim = delivery->aim;
  if (!aim || !aim->is_unflushed || delivery->flights || delivery->outbox->events) return false;
  tw_error_clear(&error);
  aim->is_unflushed = false;
  aim->calls++; /* so that it stays */
  go_out(delivery, carrier);
  tw_status status = tw_backend_flush(aim->backend, &lost, &error);
  come_back(delivery, carrier);
  aim->calls--;
  if (status && !delivery->is_abandoned) tw_delivery_tell(delivery, lost, &error);
  return true;
}
