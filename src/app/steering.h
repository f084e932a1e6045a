/// steering.h: what an operator does to a run from outside: reload it, ask how it is.
///
/// By SIGHUP, and by a control socket when there is a path for one. Changes of files are the
/// engine's own matter; all that it tells of reloads goes through here.
#ifndef TW_APP_STEERING_H
#define TW_APP_STEERING_H

#include "app/account.h"
#include "app/control.h"
#include "app/hangup.h"
#include "app/options.h"

/// Starts zeroed but for its references, which are borrowed.
typedef struct tw_steering {
  const tw_options *options;
  tw_account *account; ///< where outcomes are told
  tw_engine *engine;   ///< set before it begins
  uint64_t began;      ///< monotonic ns
  tw_control *control;
  tw_hangup *hangup;
  pthread_mutex_t mutex;                           ///< guards all below
  char refusal[sizeof((tw_error *)NULL)->message]; ///< of the last reload; "": it went well
} tw_steering;

/// From now on SIGHUP disturbs nothing.
void tw_steering_init(tw_steering *steering, const tw_options *options, tw_account *account);
/// Takes the control socket, so that no other run can. Whoever asks waits for the engine.
tw_status tw_steering_claim(tw_steering *steering, tw_error *error);
/// The engine runs: from now on it is steered.
tw_status tw_steering_begin(tw_steering *steering, tw_engine *engine, tw_error *error);
/// `reloaded` of an engine's ops.
void tw_steering_told(tw_steering *steering, uint64_t generation, const tw_error *error);
/// Answers those that wait, for an engine that was closed at once; then it is not steered any
/// more. Allowed twice, and when it never began.
void tw_steering_end(tw_steering *steering);
void tw_steering_fini(tw_steering *steering);

#endif
