// A host in C++11: the header compiles without a warning, and a tracker, an engine, the builder
// and a backend of the host work with a class and a lambda of C++.
#include <tidewire.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

struct Error : std::runtime_error {
  explicit Error(const tw_error &error) : std::runtime_error(error.message), code(error.code) {}
  tw_status code;
};

/// Calls a function that takes the error last, and throws what it fails with.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
  tw_error error = tw_error();
  if (function(arguments..., &error) != TW_OK) throw Error(error);
}

struct Unref {
  void operator()(tw_tracker *tracker) const { tw_tracker_unref(tracker); }
  void operator()(tw_engine *engine) const { tw_engine_unref(engine); }
  void operator()(tw_backend *backend) const { tw_backend_unref(backend); }
  void operator()(tw_builder *builder) const { tw_builder_free(builder); }
};
template <typename T>
using Held = std::unique_ptr<T, Unref>;

void expect(bool right, const std::string &what) {
  if (!right) throw std::runtime_error("wrong: " + what);
}

/// Adds up what it is sent; an exception must not leave a callback.
class Ledger {
 public:
  static Held<tw_backend> make(Ledger *self) {
    static const tw_backend_ops ops = {nullptr, send,    nullptr, nullptr,
                                       nullptr, nullptr, nullptr};
    tw_backend *backend;
    call(tw_backend_new, &ops, static_cast<void *>(self), 0u, &backend);
    return Held<tw_backend>(backend);
  }
  std::atomic<long> orders{0}, cents{0};

 private:
  static tw_status send(void *self, tw_event *event, unsigned, tw_error *error) {
    tw_value cents;
    Ledger *ledger = static_cast<Ledger *>(self);
    if (tw_event_get(event, "data.cents", &cents) != TW_OK) {
      std::snprintf(error->message, sizeof error->message, "an order without cents");
      return TW_EINVAL;
    }
    ledger->orders++;
    ledger->cents += static_cast<long>(cents.integer);
    return TW_OK;
  }
};

struct Told {
  std::atomic<int> failures{0}, reloads{0}, refusals{0}, freed{0};
};

Held<tw_engine> start(const std::string &script, tw_backend *ledger, Told *told) {
  const tw_offer offers[] = {{"ledger", ledger, nullptr}, {nullptr, nullptr, nullptr}};
  tw_engine_ops ops = tw_engine_ops();
  ops.failed = [](void *self, const tw_failure *) { static_cast<Told *>(self)->failures++; };
  ops.reloaded = [](void *self, uint64_t, const tw_error *error) {
    Told *to = static_cast<Told *>(self);
    if (error) to->refusals++;
    else to->reloads++;
  };
  ops.free = [](void *self) { static_cast<Told *>(self)->freed++; };
  ops.offers = offers;
  const std::string options = "{\"workers\":2}";
  tw_engine *engine;
  call(tw_engine_new, script.c_str(), options.c_str(), options.size(), &ops,
       static_cast<void *>(told), &engine);
  return Held<tw_engine>(engine);
}

Held<tw_tracker> track(tw_engine *engine) {
  tw_tracker *tracker;
  tw_backend *into;
  call(tw_tracker_new, static_cast<tw_locator *>(nullptr), &tracker);
  Held<tw_tracker> held(tracker);
  call(tw_engine_backend, engine, &into);
  call(tw_router_add_backend, tw_tracker_router(tracker), "engine", into);
  return held;
}

void emit(tw_tracker *tracker, int cents) {
  Held<tw_builder> builder(tw_builder_new());
  const char *text;
  size_t len;
  tw_builder_begin_object(builder.get());
  tw_builder_key(builder.get(), "cents");
  tw_builder_integer(builder.get(), cents);
  tw_builder_key(builder.get(), "tags");
  tw_builder_pack(builder.get(), "[%s,%s]", "c++", "11");
  tw_builder_end_object(builder.get());
  call(tw_builder_text, builder.get(), &text, &len);
  call(tw_emit, tracker, "order.paid", text, len);
}

void write(const std::string &path, const std::string &text) { std::ofstream(path) << text; }

const char script_text[] =
    "local tw = require 'tidewire'\n"
    "return tw.router { backends = { ledger = tw.backends.host 'ledger' } }\n";

void run(const std::string &script) {
  Ledger ledger;
  Told told;
  write(script, script_text);
  {
    Held<tw_backend> backend = Ledger::make(&ledger);
    Held<tw_engine> engine = start(script, backend.get(), &told);
    Held<tw_tracker> tracker = track(engine.get());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
      threads.emplace_back([&tracker] {
        for (int cents = 1; cents <= 500; cents++) emit(tracker.get(), cents);
      });
    call(tw_engine_reload, engine.get());
    for (std::thread &thread : threads) thread.join();
    write(script, "return {");
    try {
      call(tw_engine_reload, engine.get());
      expect(false, "a broken script was taken");
    } catch (const Error &error) {
      expect(error.code == TW_ESCRIPT, error.what());
    }
    call(tw_flush, tracker.get(), -1, nullptr);
    tw_backend_stats stats;
    tw_backend_get_stats(backend.get(), &stats);
    expect(stats.sent == 2000 && stats.failed == 0, "the statistics");
    expect(tw_emitf(tracker.get(), "order.paid", "{}") == TW_OK, "tw_emitf");
  }
  expect(ledger.orders == 2000 && ledger.cents == 4 * 500 * 501 / 2, "the ledger");
  expect(told.failures == 1 && told.reloads == 1 && told.refusals == 1, "what was told");
  expect(told.freed == 1, "the engine let go of its host");
}

} // namespace

int main() {
  char folder[] = "/tmp/tidewire-cpp-XXXXXX";
  if (!mkdtemp(folder)) return 1;
  const std::string script = std::string(folder) + "/script.lua";
  int result = 0;
  try {
    run(script);
  } catch (const std::exception &problem) {
    std::fprintf(stderr, "cpp_host: %s\n", problem.what());
    result = 1;
  }
  unlink(script.c_str());
  rmdir(folder);
  return result;
}
