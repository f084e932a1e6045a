/// ack.h: the promise to tell what became of an event.
///
/// Whoever emits with an acknowledgement makes one and holds a reference while the event is on
/// its way on this thread. A backend that takes the event in order to pass it on later takes a
/// reference too, and gives it back when it knows more. With the last reference the callback is
/// called, with the first failure that somebody gave back.
#ifndef TW_CORE_ACK_H
#define TW_CORE_ACK_H

#include "tidewire.h"

typedef struct tw_ack tw_ack;

/// @param[out] out  with one reference, which tw_ack_end gives back
tw_status tw_ack_new(tw_ack_fn acked, void *self, tw_ack **out, tw_error *error);
tw_ack *tw_ack_ref(tw_ack *ack); ///< NULL is allowed
/// @param status  what the holder of this reference knows. @param error  of a failure
void tw_ack_end(tw_ack *ack, tw_status status, const tw_error *error); ///< NULL is allowed

/// The one of the event that this thread is sending now; NULL: nobody wants to know. Borrowed.
tw_ack *tw_ack_current(void);
/// Sets it. @return the one before, to be set again
tw_ack *tw_ack_swap(tw_ack *ack);
/// Notes a failure of the current one's event, if there is one; its end is still to come.
void tw_ack_fail(tw_status status, const tw_error *error);

#endif
