/* What a host's callbacks may ask of the engine that calls them, and what closing waits for. */
#include "engine_case.h"

#include <semaphore.h>

/* A host: its callbacks do as they are told, once. */
typedef struct host {
  _Atomic(tw_engine *) engine;
  void (*act)(struct host *host);
  atomic_bool has_acted;
  sem_t freed;
  tw_status reload, close, flush;
} host;

static void act(host *self) {
  if (self->act && !atomic_exchange(&self->has_acted, true)) self->act(self);
}

static void act_failed(void *self, const tw_failure *failure) {
  (void)failure;
  act(self);
}

static void act_dropped(void *self, const char *cause, const tw_event *event) {
  (void)cause, (void)event;
  act(self);
}

static void act_reloaded(void *self, uint64_t generation, const tw_error *error) {
  (void)generation, (void)error;
  act(self);
}

static void post_freed(void *self) { sem_post(&((host *)self)->freed); }

static tw_engine *host_engine(host *self, const char *options, const tw_offer *offers) {
  const tw_engine_ops ops = {.failed = act_failed,
                             .dropped = act_dropped,
                             .reloaded = act_reloaded,
                             .free = post_freed,
                             .offers = offers};
  tw_error error = {0};
  tw_engine *engine;
  sem_init(&self->freed, 0, 0);
  if (tw_engine_new(path_of("main.lua"), options, strlen(options), &ops, self, &engine, &error))
    fail_msg("%s", error.message);
  atomic_store(&self->engine, engine);
  return engine;
}

static void await_freed(host *self) {
  while (sem_wait(&self->freed)) continue;
  sem_destroy(&self->freed);
}

/* The thread that frees has still to leave the allocator. */
static int after_all(void **state) {
  for (int i = 0; i < 2000 && tw_oom_live(); i++) usleep(1000);
  return after(state);
}

/* --------------------------------------------------------- sending what was dropped */

/* Sends another for each event that was dropped, for ever. */
typedef struct stubborn {
  tw_engine *engine;
  unsigned dropped, refused;
} stubborn;

static void send_again(void *self, const char *cause, const tw_event *event) {
  stubborn *to = self;
  tw_error error = {0};
  (void)cause;
  to->dropped++;
  tw_engine_send(to->engine, event, &error);
  if (strstr(error.message, "callbacks send inside of each other")) to->refused++;
}

static tw_status stand(void *self, tw_event *event, unsigned flags, tw_error *error) {
  sem_t *gates = self;
  (void)event, (void)flags, (void)error;
  sem_post(&gates[0]);
  while (sem_wait(&gates[1])) continue;
  return TW_OK;
}

static void sending_inside_of_sending_has_an_end(void **state) {
  (void)state;
  static const tw_backend_ops backend_ops = {.send = stand};
  sem_t gates[2];
  stubborn self = {0};
  tw_backend *backend;
  sem_init(&gates[0], 0, 0);
  sem_init(&gates[1], 0, 0);
  assert_int_equal(tw_backend_new(&backend_ops, gates, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "own", .backend = backend}, {0}};
  const tw_engine_ops ops = {.dropped = send_again, .offers = offers};
  const char options[] = "{\"queue\":1,\"overload\":\"drop_newest\"}";
  write_file("main.lua",
             HEAD "return tw.router { backends = { own = tw.backends.host 'own' } }");
  assert_int_equal(tw_engine_new(path_of("main.lua"), options, sizeof options - 1, &ops, &self,
                                 &self.engine, NULL),
                   TW_OK);
  tw_backend_unref(backend);
  assert_int_equal(send(self.engine, "{}"), TW_OK);
  while (sem_wait(&gates[0])) continue; /* the worker stands */
  assert_int_equal(send(self.engine, "{}"), TW_OK);
  assert_int_equal(send(self.engine, "{}"), TW_ELIMIT);
  assert_int_equal(self.dropped, TW_MAX_NESTED);
  assert_int_equal(self.refused, 1);
  assert_int_equal(stats_of(self.engine).dropped, TW_MAX_NESTED);
  for (int i = 0; i < 4; i++) sem_post(&gates[1]);
  tw_engine_unref(self.engine);
}

/* ---------------------------------------------------------- the last reference */

static void let_go(host *self) { tw_engine_unref(self->engine); }

static void a_worker_may_let_go_of_the_last_reference(void **state) {
  (void)state;
  host self = {.act = let_go};
  write_script("event.v = event.n if event.n == 1 then error 'no' end");
  tw_engine *engine = host_engine(&self, "{}", NULL);
  tw_engine_ref(engine);
  for (int i = 0; i < 100; i++) send(engine, "{\"n\":%d}", i);
  tw_engine_unref(engine);
  await_freed(&self);
  char *text = take_output();
  assert_non_null(strstr(text, "\"v\":99}")); /* all that waited was processed */
  free(text);
}

static void whoever_watches_the_files_may_let_go_of_the_last_reference(void **state) {
  (void)state;
  host self = {.act = let_go};
  write_script("event.v = 1");
  host_engine(&self, "{\"watch\":true}", NULL);
  write_script("event.v = 2");
  await_freed(&self);
}

static void what_a_reload_calls_may_let_go_of_the_last_reference(void **state) {
  (void)state;
  host self = {.act = let_go};
  write_script("event.v = 1");
  tw_engine *engine = host_engine(&self, "{}", NULL);
  assert_int_equal(tw_engine_reload(engine, NULL), TW_OK);
  await_freed(&self);
}

/* An engine that another one's worker holds last. */
static void a_worker_may_let_go_of_another_engine(void **state) {
  (void)state;
  host other = {0}, self = {.act = let_go};
  write_script("error 'no'");
  host_engine(&other, "{\"workers\":3}", NULL);
  tw_engine *engine = host_engine(&self, "{}", NULL);
  self.engine = other.engine;
  send(engine, "{}");
  await_freed(&other);
  tw_engine_unref(engine);
  await_freed(&self);
}

/* ------------------------------------------------------------ calls that wait */

static void ask_for_all(host *self) {
  self->reload = tw_engine_reload(self->engine, NULL);
  self->close = tw_engine_close(self->engine, -1, NULL, NULL);
  self->flush = tw_engine_flush(self->engine, -1, NULL, NULL);
}

#define BY_KEY \
  "engine = { workers = 2, partition_by = function(event) return event.user.id end }"

static void who_sends_cannot_change_the_key_meanwhile(void **state) {
  (void)state;
  host self = {.act = ask_for_all};
  write_file("main.lua", HEAD "return tw.router { " BY_KEY ", " OUT " }", path_of("out"));
  tw_engine *engine = host_engine(&self, "{}", NULL);
  send(engine, "{}"); /* has no user: the function fails */
  assert_true(self.has_acted);
  assert_int_equal(self.reload, TW_EINVAL);
  assert_int_equal(self.close, TW_EINVAL);
  assert_int_equal(self.flush, TW_OK);
  reload(engine);
  tw_engine_unref(engine);
  await_freed(&self);
}

static void close_and_ask(void *self) { act(self); }
static tw_status take(void *self, tw_event *event, unsigned flags, tw_error *error) {
  (void)self, (void)event, (void)flags, (void)error;
  return TW_OK;
}

static void a_backend_that_is_closed_with_its_engine_cannot_wait_for_that(void **state) {
  (void)state;
  static const tw_backend_ops ops = {.send = take, .close = close_and_ask};
  host self = {.act = ask_for_all};
  tw_backend *backend;
  assert_int_equal(tw_backend_new(&ops, &self, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "own", .backend = backend}, {0}};
  write_file("main.lua",
             HEAD "return tw.router { backends = { own = tw.backends.host 'own' } }");
  tw_engine *engine = host_engine(&self, "{}", offers);
  tw_backend_unref(backend);
  send(engine, "{}");
  assert_int_equal(tw_engine_close(engine, -1, NULL, NULL), TW_OK);
  assert_true(self.has_acted);
  assert_int_equal(self.reload, TW_EINVAL);
  assert_int_equal(self.close, TW_EINVAL);
  assert_int_equal(self.flush, TW_OK);
  tw_engine_unref(engine);
  await_freed(&self);
}

/* Reloads of two engines, one inside the other, and back to the first. */
typedef struct pair {
  tw_engine *one, *other;
  tw_status back;
} pair;

static void reload_other(void *self, uint64_t generation, const tw_error *error) {
  (void)generation, (void)error;
  tw_engine_reload(((pair *)self)->other, NULL);
}

static void reload_one(void *self, uint64_t generation, const tw_error *error) {
  (void)generation, (void)error;
  pair *to = self;
  to->back = tw_engine_reload(to->one, NULL);
}

static void a_reload_cannot_come_back_to_itself_through_another(void **state) {
  (void)state;
  const tw_engine_ops outer = {.reloaded = reload_other}, inner = {.reloaded = reload_one};
  pair self = {0};
  write_script("event.v = 1");
  const char *path = path_of("main.lua");
  assert_int_equal(tw_engine_new(path, "{}", 2, &outer, &self, &self.one, NULL), TW_OK);
  assert_int_equal(tw_engine_new(path, "{}", 2, &inner, &self, &self.other, NULL), TW_OK);
  reload(self.one);
  assert_int_equal(self.back, TW_EINVAL);
  assert_int_equal(stats_of(self.other).generation, 2);
  tw_engine_unref(self.one);
  tw_engine_unref(self.other);
}

/* ------------------------------------------------------------- a gate to stand at */

typedef struct gate {
  sem_t reached, open;
  atomic_bool is_set;
  atomic_uint sent, flushed;
  pthread_t sender;
  tw_engine *engine;
} gate;

static void pass(gate *self) {
  if (!atomic_exchange(&self->is_set, false)) return;
  sem_post(&self->reached);
  while (sem_wait(&self->open)) continue;
}

static tw_status pass_on_accept(void *self, tw_router *router, tw_error *error) {
  (void)router, (void)error;
  pass(self);
  return TW_OK;
}

/* What another thread is to ask of an engine, and the answers. */
typedef struct request {
  tw_engine *engine;
  tw_status status;
  uint64_t remaining;
} request;

static void *reload_it(void *self) {
  request *to = self;
  tw_error error = {0};
  to->status = tw_engine_reload(to->engine, &error);
  return NULL;
}

static void *close_at_once(void *self) {
  request *to = self;
  to->status = tw_engine_close(to->engine, 0, &to->remaining, NULL);
  return NULL;
}

/* A reload would wait until all that was sent before it is through. */
static void closing_does_not_wait_for_what_a_reload_waits_for(void **state) {
  (void)state;
  const tw_engine_ops ops = {.accept = pass_on_accept};
  gate self = {0};
  tw_engine *engine;
  pthread_t reloader, closer;
  sem_init(&self.reached, 0, 0);
  sem_init(&self.open, 0, 0);
  write_script("local till = os.clock() + 0.02 while os.clock() < till do end");
  const char *options = "{\"instruction_limit\":\"none\"}";
  assert_int_equal(
      tw_engine_new(path_of("main.lua"), options, strlen(options), &ops, &self, &engine, NULL),
      TW_OK);
  request reloading = {.engine = engine}, closing = {.engine = engine};
  atomic_store(&self.is_set, true);
  pthread_create(&reloader, NULL, reload_it, &reloading);
  while (sem_wait(&self.reached)) continue;
  for (int i = 0; i < 500; i++) send(engine, "{}");
  pthread_create(&closer, NULL, close_at_once, &closing);
  while (send(engine, "{}") == TW_OK) usleep(100); /* until it is being closed */
  sem_post(&self.open);
  pthread_join(reloader, NULL);
  pthread_join(closer, NULL);
  assert_int_equal(reloading.status, TW_ECLOSED);
  assert_int_equal(closing.status, TW_ELIMIT);
  assert_true(closing.remaining > 400);
  assert_int_equal(stats_of(engine).generation, 1);
  assert_int_equal(stats_of(engine).refused, 1);
  assert_int_equal(stats_of(engine).dropped_closed, closing.remaining);
  tw_engine_unref(engine);
}

/* --------------------------------------------------- flushes over generations */

static tw_status gather(void *self, tw_event *event, unsigned flags, tw_error *error) {
  gate *to = self;
  (void)event, (void)flags, (void)error;
  to->sender = pthread_self();
  atomic_fetch_add(&to->sent, 1);
  pass(to);
  return TW_OK;
}

/* Only the old generation's end stands still here. */
static tw_status write_gathered(void *self, uint64_t *lost, tw_error *error) {
  gate *to = self;
  (void)error;
  *lost = 0;
  if (!pthread_equal(to->sender, pthread_self())) {
    sem_post(&to->reached);
    while (sem_wait(&to->open)) continue;
  }
  atomic_store(&to->flushed, atomic_load(&to->sent));
  return TW_OK;
}

/* Behind the state that the new generation is to take over, before the change itself. */
static tw_status send_on_reload(void *self, tw_router *router, tw_error *error) {
  gate *to = self;
  (void)router, (void)error;
  if (to->engine) send(to->engine, "{}");
  return TW_OK;
}

static void a_flush_reaches_what_the_generation_before_has_taken(void **state) {
  (void)state;
  static const tw_backend_ops backend_ops = {.send = gather, .flush = write_gathered};
  gate old = {0};
  pthread_t reloader;
  tw_backend *backend;
  sem_init(&old.reached, 0, 0);
  sem_init(&old.open, 0, 0);
  assert_int_equal(tw_backend_new(&backend_ops, &old, 0, &backend, NULL), TW_OK);
  const tw_offer offers[] = {{.name = "old", .backend = backend}, {0}};
  const tw_engine_ops ops = {.accept = send_on_reload, .offers = offers};
  write_file("main.lua",
             HEAD "return tw.router { backends = { old = tw.backends.host 'old' } }");
  assert_int_equal(tw_engine_new(path_of("main.lua"), "{}", 2, &ops, &old, &old.engine, NULL),
                   TW_OK);
  write_script("event.v = 1");
  atomic_store(&old.is_set, true);
  request reloading = {.engine = old.engine};
  pthread_create(&reloader, NULL, reload_it, &reloading);
  while (sem_wait(&old.reached)) continue; /* the worker is in the backend, */
  usleep(20000);                           /* and the change is behind this event */
  sem_post(&old.open);
  while (stats_of(old.engine).generation == 1) usleep(100);
  flush(old.engine);
  assert_int_equal(old.flushed, 1);
  for (int i = 0; i < 8; i++) sem_post(&old.open);
  pthread_join(reloader, NULL);
  tw_engine_unref(old.engine);
  tw_backend_unref(backend);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, before, after_all)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(sending_inside_of_sending_has_an_end),
      CASE(a_worker_may_let_go_of_the_last_reference),
      CASE(whoever_watches_the_files_may_let_go_of_the_last_reference),
      CASE(what_a_reload_calls_may_let_go_of_the_last_reference),
      CASE(a_worker_may_let_go_of_another_engine),
      CASE(who_sends_cannot_change_the_key_meanwhile),
      CASE(a_backend_that_is_closed_with_its_engine_cannot_wait_for_that),
      CASE(a_reload_cannot_come_back_to_itself_through_another),
      CASE(closing_does_not_wait_for_what_a_reload_waits_for),
      CASE(a_flush_reaches_what_the_generation_before_has_taken),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
