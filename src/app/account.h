/// account.h: what becomes of the input, told by the engine's threads: counted, and where it
/// must be kept, written down.
#ifndef TW_APP_ACCOUNT_H
#define TW_APP_ACCOUNT_H

#include "app/failures.h"
#include "core/block.h"

/// Starts zeroed but for its references.
typedef struct tw_account {
  tw_term *term;
  pthread_mutex_t mutex; ///< guards all below
  tw_tally tally;        ///< of the blocks that are done
  tw_sink rejects, dead;
  tw_failures failures;
  bool output_failed; ///< something could not be written, or was left and is lost
  bool has_left;      ///< something was left that its cursor leads back to
  bool has_spool;     ///< which keeps rejected lines and dead letters
} tw_account;

/// @param rejects, dead  paths, borrowed
void tw_account_init(tw_account *account, tw_term *term, const char *rejects, const char *dead);
void tw_account_fini(tw_account *account);

/// Leaves rejected lines and dead letters to the engine's spool.
void tw_account_use_spool(tw_account *account);

/// For the intake of the input; its `self` is the account.
extern const tw_intake_ops tw_account_intake;
/// `failed` and `dead` of an engine's ops.
void tw_account_failed(void *self, const tw_failure *failure);
void tw_account_dead(void *self, const tw_failure *failure);
/// Tells what has come of a reload. @param error  NULL: the generation is the new one
void tw_account_reloaded(tw_account *account, uint64_t generation, const tw_error *error);

/// Writes what is gathered of rejected lines and dead letters.
void tw_account_flush(tw_account *account);
tw_tally tw_account_tally(tw_account *account);

#endif
