/* Counting costs a third of Lua's speed, so calls run uncounted at first. One *watchdog*
   thread for all scripts of the process looks at them every TICK; a call that it sees a
   second time is overdue: it sends its thread a SIGURG, whose handler arms a count hook in
   the coroutine that runs, as Lua's own interpreter does on SIGINT. From then on the hook
   counts instructions and looks at the thread's processor clock; when a limit is passed it
   raises, and goes on to raise at every instruction. A limit of few instructions would be
   passed before the first look: such calls are counted from their beginning.

   The handler runs on the thread that is inside the call, so that what it touches is touched
   by one thread alone. `depth` is set behind everything else of a call's beginning and reset
   before everything else of its end: the handler trusts it.

   Each coroutine has a hook of its own: a new one inherits it, the others get it when they
   are resumed, and a hook that finds its call gone takes itself out. */
#include "script/state/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

enum {
  STEP = 10000,        /* instructions between two looks of the hook */
  FEW = 1000000,       /* a limit of fewer is counted from the beginning */
  TICK_NS = 2000000,   /* between two looks of the watchdog */
  IDLE_TICKS = 25,     /* without a call, before it sleeps */
  SLEEP_NS = 50000000, /* at most, for it may miss that it is woken */

  STARVATIONS = 8,      /* calls that failed for want of memory make a script sick, */
  STARVING_TURNS = 1000 /* when so many calls lie between the first and the last */
};

/* The thread sanitizer holds signals back until a thread calls into it, which a loop in Lua
   never does. */
#if defined(__SANITIZE_THREAD__)
#define TW_HOLDS_SIGNALS true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TW_HOLDS_SIGNALS true
#endif
#endif
#ifndef TW_HOLDS_SIGNALS
#define TW_HOLDS_SIGNALS false
#endif

static _Thread_local tw_guard *current;
tw_guard **tw_guard_current(void) { return &current; }

static uint64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------- kill */

static void note_place(tw_guard *guard, lua_State *L) {
  lua_Debug frame;
  guard->where[0] = '\0';
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline <= 0) continue;
    snprintf(guard->where, sizeof guard->where, "%s:%d: ", frame.short_src, frame.currentline);
    return;
  }
}

static void on_count(lua_State *L, lua_Debug *info);

/* Only C raises a light userdata of this value: protect.c knows it by that. */
static int raise_kill(lua_State *L, tw_guard *guard) {
  lua_pushlightuserdata(L, guard);
  return lua_error(L);
}

static void kill_call(tw_guard *guard, lua_State *L, tw_kill why) {
  guard->killed = why;
  note_place(guard, L);
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
  raise_kill(L, guard);
}

/* What a limit is just now. The sum of 1/n^2 is below two. */
static uint64_t scaled(const tw_guard *guard, uint64_t limit) {
  uint64_t share = (uint64_t)guard->kills + 1;
  if (limit > UINT64_MAX / guard->scale) return UINT64_MAX;
  return limit * guard->scale / (share * share);
}

/* Why a call is to be killed that ran so many instructions more. */
static tw_kill reason_after(const tw_guard *guard, uint64_t instructions) {
  if (guard->counted + instructions >= scaled(guard, guard->instructions))
    return TW_KILL_INSTRUCTIONS;
  if (cpu_ns() - guard->start >= scaled(guard, guard->time)) return TW_KILL_TIME;
  return TW_KILL_NONE;
}

static void count(tw_guard *guard, lua_State *L, uint64_t instructions) {
  tw_kill why = reason_after(guard, instructions);
  guard->counted += instructions;
  if (why != TW_KILL_NONE) kill_call(guard, L, why);
}

/* A limit of few instructions is looked at often enough. Without signals, nothing else looks
   at the time of a call whose instructions are slow. */
static int step_of(const tw_guard *guard) {
  if (TW_HOLDS_SIGNALS) return 10;
  return guard->instructions < (uint64_t)STEP * 10 ? (int)(guard->instructions / 10 + 1) : STEP;
}

static void on_count(lua_State *L, lua_Debug *info) {
  tw_guard *guard = current;
  (void)info;
  if (!guard || !guard->armed) lua_sethook(L, NULL, 0, 0);
  else if (guard->killed) raise_kill(L, guard);
  else count(guard, L, (uint64_t)step_of(guard));
}

static void set_hook(const tw_guard *guard, lua_State *L) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, guard->killed ? 1 : step_of(guard));
}

/* Safe in a signal handler. */
static void arm(tw_guard *guard) {
  if (guard->armed) return;
  guard->start = cpu_ns() - guard->spent;
  guard->armed = 1;
  set_hook(guard, guard->running);
}

void tw_guard_step(tw_guard *guard, lua_State *L, uint64_t steps) {
  if (!guard || !guard->armed) return;
  if (guard->killed) raise_kill(L, guard);
  count(guard, L, steps);
}

bool tw_guard_would_stop(const tw_guard *guard, uint64_t steps) {
  if (!guard || !guard->armed) return false;
  return guard->killed || reason_after(guard, steps) != TW_KILL_NONE;
}

/* A nanosecond for each byte: what is slower is not much slower. */
void tw_guard_charge(tw_guard *guard, lua_State *L, uint64_t bytes) {
  enum { EACH_INSTRUCTION = 64 };
  if (!guard) return;
  arm(guard);
  tw_guard_step(guard, L, bytes / EACH_INSTRUCTION);
  uint64_t limit = scaled(guard, guard->time);
  if (bytes >= limit || cpu_ns() - guard->start >= limit - bytes)
    kill_call(guard, L, TW_KILL_TIME);
}

void tw_guard_check(tw_guard *guard, lua_State *L) {
  if (tw_guard_is_killed(guard)) raise_kill(L, guard);
}

lua_State *tw_guard_switch(tw_guard *guard, lua_State *to) {
  lua_State *from = guard->running;
  guard->running = to;
  atomic_signal_fence(memory_order_seq_cst);
  if (guard->armed) set_hook(guard, to);
  return from;
}

void tw_guard_switch_back(tw_guard *guard, lua_State *to) { tw_guard_switch(guard, to); }

tw_status tw_guard_tell(const tw_guard *guard, tw_error *error) {
  const char *span = guard->in_event    ? "for one event; make it do less for each event"
                     : guard->scale > 1 ? "while loading; make it do less when it is loaded"
                                        : "in one call; make it do less at once";
  double seconds = (double)scaled(guard, guard->time) / 1e9;
  switch (guard->killed) {
    case TW_KILL_INSTRUCTIONS:
      return tw_fail(error, TW_ELIMIT,
                     "%sstopped after %llu instructions %s, or raise --instruction-limit",
                     guard->where, (unsigned long long)scaled(guard, guard->instructions),
                     span);
    case TW_KILL_SPENT:
      return tw_fail(error, TW_ELIMIT,
                     "not run: what ran before it has used up the limits of this event; make "
                     "that do less, or raise --instruction-limit and --time-limit");
    case TW_KILL_NONE:
    case TW_KILL_TIME: break;
  }
  return tw_fail(error, TW_ELIMIT, "%sstopped after %.3g s %s, or raise --time-limit",
                 guard->where, seconds, span);
}

/* --------------------------------------------------------------- watchdog */

atomic_bool tw_watchdog_awake;

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  tw_guard *guards;
  pthread_t thread;
  uintptr_t generation; /* of the thread; one of an older generation ends */
  bool is_running, has_handler;
  struct sigaction before; /* what the host did on the signal */
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Where single calls of C are slow, instructions are few: then the next one is looked at, and
   so is the next round of a loop of ours. */
static void look_from_inside(tw_guard *guard) {
  arm(guard);
  if (guard->killed || cpu_ns() - guard->start < scaled(guard, guard->time)) return;
  guard->late = 1;
  lua_sethook(guard->running, on_count, LUA_MASKCOUNT, 1);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  int problem = errno;
  tw_guard *guard = current;
  if (guard && atomic_load(&guard->depth) && atomic_load(&guard->overdue) == guard->turn)
    look_from_inside(guard);
  if (dog.before.sa_flags & SA_SIGINFO) dog.before.sa_sigaction(number, info, context);
  else if (dog.before.sa_handler != SIG_DFL && dog.before.sa_handler != SIG_IGN)
    dog.before.sa_handler(number);
  errno = problem;
}

/* Until the process ends: a host may have put its own over it. */
static bool install_handler(void) {
  if (dog.has_handler) return true;
  struct sigaction action = {.sa_sigaction = on_signal};
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  dog.has_handler = sigaction(SIGURG, &action, &dog.before) == 0;
  return dog.has_handler;
}

/* tgkill refuses a thread that is gone, and pthread_kill does not. */
static void signal_thread(const tw_guard *guard) {
  int thread = atomic_load_explicit(&guard->thread_id, memory_order_relaxed);
  if (thread) syscall(SYS_tgkill, getpid(), thread, SIGURG);
}

/* @return whether a call is under way, or was since the last look */
static bool look_at(tw_guard *guard) {
  unsigned turn = atomic_load(&guard->turn);
  bool inside = atomic_load(&guard->depth), again = turn == guard->seen;
  guard->seen = turn;
  if (!inside || !again) return inside || !again;
  atomic_store(&guard->overdue, turn);
  signal_thread(guard);
  return true;
}

static bool look_at_all(void) {
  bool busy = false;
  for (tw_guard *guard = dog.guards; guard; guard = guard->next) busy |= look_at(guard);
  return busy;
}

static void wait_for(long ns) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += ns;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_cond_timedwait(&dog.wake, &dog.lock, &until);
}

static void *watch(void *generation) {
  int idle = 0;
  pthread_mutex_lock(&dog.lock);
  while (dog.generation == (uintptr_t)generation) {
    idle = look_at_all() ? 0 : idle + 1;
    bool awake = idle < IDLE_TICKS;
    atomic_store(&tw_watchdog_awake, awake);
    wait_for(awake ? TICK_NS : SLEEP_NS);
  }
  pthread_mutex_unlock(&dog.lock);
  return NULL;
}

static void init_condition(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&dog.wake, &attributes);
  pthread_condattr_destroy(&attributes);
}

/* In a child there is no watchdog, and its threads have other names: the next call of each
   script finds that out. */
static void after_fork(void) {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  dog.lock = fresh;
  dog.is_running = false;
  atomic_store(&tw_watchdog_awake, false);
  for (tw_guard *guard = dog.guards; guard; guard = guard->next)
    memset(&guard->thread, 0, sizeof guard->thread);
  init_condition();
}

static void init_once(void) {
  init_condition();
  pthread_atfork(NULL, NULL, after_fork);
}

/* It handles no signals of the host's. Under the lock. */
static bool start_watchdog(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  void *generation = (void *)dog.generation; /* NOLINT(performance-no-int-to-ptr) */
  dog.is_running = pthread_create(&dog.thread, NULL, watch, generation) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return dog.is_running;
}

static void adopt_thread(tw_guard *guard) {
  sigset_t ours;
  guard->thread = pthread_self();
  atomic_store(&guard->thread_id, (int)syscall(SYS_gettid));
  sigemptyset(&ours);
  sigaddset(&ours, SIGURG);
  pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

/* Of an event whose calls are counted, each that comes finds what those before it left. A
   call of few instructions ends before the hook looks: only its time counts. */
static void begin_counting(tw_guard *guard) {
  arm(guard);
  if (guard->in_event && (guard->spent >= scaled(guard, guard->time) ||
                          guard->counted >= scaled(guard, guard->instructions)))
    guard->killed = TW_KILL_SPENT;
}

void tw_guard_begin(tw_guard *guard) {
  if (guard->eager) begin_counting(guard);
  if (!pthread_equal(guard->thread, pthread_self()))
    adopt_thread(guard); /* a child of fork has another name, too */
  if (atomic_load(&tw_watchdog_awake)) return;
  pthread_mutex_lock(&dog.lock);
  if (!dog.is_running && !start_watchdog()) guard->always = guard->eager = true;
  else pthread_cond_signal(&dog.wake);
  atomic_store(&tw_watchdog_awake, dog.is_running);
  pthread_mutex_unlock(&dog.lock);
}

void tw_guard_init(tw_guard *guard) {
  bool limited = guard->instructions != TW_UNLIMITED || guard->time != TW_UNLIMITED;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  guard->scale = 1;
  pthread_once(&once, init_once);
  adopt_thread(guard);
  pthread_mutex_lock(&dog.lock);
  guard->always = guard->eager =
      limited && (guard->instructions < FEW || TW_HOLDS_SIGNALS || !install_handler());
  guard->next = dog.guards;
  dog.guards = guard;
  pthread_mutex_unlock(&dog.lock);
}

/* The last one sends the watchdog home. */
void tw_guard_fini(tw_guard *guard) {
  pthread_mutex_lock(&dog.lock);
  tw_guard **at = &dog.guards;
  while (*at && *at != guard) at = &(*at)->next;
  if (*at) *at = guard->next;
  bool last = !dog.guards && dog.is_running;
  pthread_t thread = dog.thread;
  if (last) {
    dog.generation++;
    dog.is_running = false;
    atomic_store(&tw_watchdog_awake, false);
    pthread_cond_broadcast(&dog.wake);
  }
  pthread_mutex_unlock(&dog.lock);
  if (last) pthread_join(thread, NULL);
}

/* ----------------------------------------------------------------- memory */

void *tw_guard_allocate(void *self, void *block, size_t old, size_t size) {
  tw_guard *guard = self;
  if (!block) old = 0; /* it is a kind of object then */
  if (!size) {
    guard->used -= old;
    tw_free(block);
    return NULL;
  }
  if (size > old && (guard->used > guard->memory || size - old > guard->memory - guard->used)) {
    guard->refused = true;
    return NULL;
  }
  void *grown = tw_realloc(block, size);
  if (grown) guard->used += size - old;
  return grown;
}

/* ----------------------------------------------------------------- settle */

/* Nothing is carried on. */
static void forget(tw_guard *guard) {
  guard->counted = guard->spent = 0;
  guard->kills = 0;
  guard->eager = guard->always;
}

void tw_guard_settle_event(tw_guard *guard) { forget(guard); }

static void stop_counting(tw_guard *guard, lua_State *L) {
  lua_sethook(L, NULL, 0, 0);
  guard->armed = 0;
  guard->spent = cpu_ns() - guard->start;
  guard->eager = true;
  if (guard->killed) {
    guard->counted = guard->spent = 0;
    guard->kills++;
  }
  guard->killed = TW_KILL_NONE;
  if (!guard->in_event) forget(guard);
}

/* What a script keeps may be well below the limit and yet leave too little for its calls:
   functions of C fail at the first refusal, where Lua itself collects garbage and tries again.
   @return whether so many of its last calls have failed that this is not the events' doing */
static bool is_starving(tw_guard *guard) {
  unsigned turn = atomic_load_explicit(&guard->turn, memory_order_relaxed);
  if (!guard->starved || guard->used <= guard->memory / 2) return false;
  if (turn - guard->starving_since > STARVING_TURNS) guard->starvations = 0;
  if (!guard->starvations++) guard->starving_since = turn;
  return guard->starvations >= STARVATIONS;
}

/* A call that was counted, or refused memory, is over. */
void tw_guard_settle(tw_guard *guard, lua_State *L) {
  if (guard->armed) stop_counting(guard, L);
  guard->late = 0;
  if (!guard->refused) return;
  lua_gc(L, LUA_GCCOLLECT);
  bool is_full = guard->used > guard->memory - guard->memory / 8;
  guard->sick = is_starving(guard) || is_full;
  guard->refused = guard->starved = false;
}
