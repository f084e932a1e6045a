/* SIGHUP: noted from the first moment, served once for many, harmless when nobody serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those above. */
#include <cmocka.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "app/hangup.h"

typedef struct reloads {
  atomic_uint count;
  sem_t begun, go_on;
} reloads;

static void reload(void *self) {
  reloads *to = self;
  atomic_fetch_add(&to->count, 1);
  sem_post(&to->begun);
  while (sem_wait(&to->go_on)) {}
}

static void wait_for(sem_t *event) {
  while (sem_wait(event)) {}
}

static tw_hangup *serve(reloads *to) {
  tw_hangup *hangup;
  sem_init(&to->begun, 0, 0);
  sem_init(&to->go_on, 0, 0);
  assert_int_equal(tw_hangup_serve(reload, to, &hangup, NULL), TW_OK);
  return hangup;
}

static void a_signal_before_the_daemon_is_up_is_served_then(void **state) {
  (void)state;
  reloads to = {0};
  tw_hangup_install();
  raise(SIGHUP);
  tw_hangup *hangup = serve(&to);
  wait_for(&to.begun);
  sem_post(&to.go_on);
  tw_hangup_stop(hangup);
  assert_int_equal(to.count, 1);
}

static void signals_during_a_reload_are_served_by_one_more(void **state) {
  (void)state;
  reloads to = {0};
  tw_hangup_install();
  tw_hangup *hangup = serve(&to);
  raise(SIGHUP);
  wait_for(&to.begun);
  for (int i = 0; i < 1000; i++) raise(SIGHUP);
  sem_post(&to.go_on);
  wait_for(&to.begun);
  sem_post(&to.go_on);
  tw_hangup_stop(hangup);
  assert_int_equal(to.count, 2);
}

static void signals_when_it_has_stopped_do_nothing(void **state) {
  (void)state;
  reloads to = {0};
  tw_hangup_install();
  tw_hangup_stop(serve(&to));
  raise(SIGHUP);
  tw_hangup_stop(NULL);
  assert_int_equal(to.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_signal_before_the_daemon_is_up_is_served_then),
      cmocka_unit_test(signals_during_a_reload_are_served_by_one_more),
      cmocka_unit_test(signals_when_it_has_stopped_do_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
