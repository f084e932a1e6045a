/// signals.h: SIGINT and SIGTERM ask the command to finish; asked twice, it ends at once.
#ifndef TW_APP_SIGNALS_H
#define TW_APP_SIGNALS_H

/// From now on the signals are noted, and calls that block end with EINTR.
void tw_signals_install(void);
/// @return the signal that asked to finish, 0 if none did
int tw_signals_caught(void);
/// Waits, on any thread, for the first signal or for tw_signals_release.
void tw_signals_await(void);
/// Lets one thread go on that waits, or that will.
void tw_signals_release(void);
/// Waits until `fd` can be read, a signal has asked to finish, or the time is over.
/// @param milliseconds  negative: without end
void tw_signals_wait(int fd, int milliseconds);

#endif
