// What JavaScript sees: one class and a few functions. Types are in src/engine/addon.ts.
// A thread that is being terminated can neither run JavaScript nor throw; what fails then must not end the
// process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "descriptors.h"
#include "probe.h"
#include "reactor.h"
#include "sockets.h"

namespace {

using aionbd::Memory;
using aionbd::Reactor;
using aionbd::ReactorOptions;

Napi::Value throw_errno(Napi::Env env, const char* step, int error) {
  Napi::Error failure = Napi::Error::New(env, std::string(step) + ": " + std::strerror(-error));
  failure.Set("errno", Napi::Number::New(env, -error));
  failure.Set("syscall", Napi::String::New(env, step));
  failure.ThrowAsJavaScriptException();
  return env.Undefined();
}

// V8 refuses a longer ArrayBuffer than 4 GiB (Node 20), and Node-API then frees its finalizer's data twice.
// Arguments are taken as they are: converting them could run JavaScript, and takes longer. What is of another
// type becomes a value that nothing accepts, or false.

int int_at(const Napi::CallbackInfo& info, size_t index) {
  int32_t value = -1;
  napi_get_value_int32(info.Env(), info[index], &value);
  return value;
}

uint32_t count_at(const Napi::CallbackInfo& info, size_t index) {
  uint32_t value = 0;
  napi_get_value_uint32(info.Env(), info[index], &value);
  return value;
}

// NaN, which no range contains, for what is no number.
double bytes_at(const Napi::CallbackInfo& info, size_t index) {
  double value = std::nan("");
  napi_get_value_double(info.Env(), info[index], &value);
  return value;
}

bool flag_at(const Napi::CallbackInfo& info, size_t index) {
  bool value = false;
  napi_get_value_bool(info.Env(), info[index], &value);
  return value;
}

std::string text_at(const Napi::CallbackInfo& info, size_t index) {
  size_t length = 0;
  if (napi_get_value_string_utf8(info.Env(), info[index], nullptr, 0, &length) != napi_ok) return "";
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(info.Env(), info[index], text.data(), text.size(), &length);
  text.resize(length);
  return text;
}

constexpr double kMostMemoryBytes = 4294901760.0;
constexpr double kMostEntries = 1 << 24;
constexpr double kMostThreads = 1024;

// Reads a property that must be a whole number from 1 to `most`. False: a RangeError is pending.
template <typename Number>
bool whole_number(Napi::Env env, const Napi::Object& from, const char* name, double most, Number* into) {
  const Napi::Value given = from.Get(name);
  // An exception that the property itself threw stays.
  if (env.IsExceptionPending()) return false;
  const double value = given.IsNumber() ? given.As<Napi::Number>().DoubleValue() : 0;
  if (value >= 1 && value <= most && value == std::floor(value)) {
    *into = static_cast<Number>(value);
    return true;
  }
  const std::string range = " must be a whole number from 1 to " + std::to_string(static_cast<int64_t>(most));
  Napi::RangeError::New(env, name + range).ThrowAsJavaScriptException();
  return false;
}

// The memory stays mapped until both the reactor and the garbage collector have let go of it.
Napi::ArrayBuffer share(Napi::Env env, const std::shared_ptr<Memory>& memory) {
  auto* keeper = new std::shared_ptr<Memory>(memory);
  return Napi::ArrayBuffer::New(
      env, memory->data(), memory->size(),
      [](Napi::Env, void*, std::shared_ptr<Memory>* held) { delete held; }, keeper);
}

class ReactorWrap : public Napi::ObjectWrap<ReactorWrap> {
 public:
  static void define(Napi::Env env, Napi::Object exports) {
    exports.Set("Reactor", DefineClass(env, "Reactor",
                                       {InstanceMethod<&ReactorWrap::wake>("wake"),
                                        InstanceMethod<&ReactorWrap::close>("close"),
                                        InstanceMethod<&ReactorWrap::add_file>("addFile"),
                                        InstanceMethod<&ReactorWrap::remove_file>("removeFile"),
                                        InstanceMethod<&ReactorWrap::listen_tcp>("listenTcp"),
                                        InstanceMethod<&ReactorWrap::listen_unix>("listenUnix"),
                                        InstanceMethod<&ReactorWrap::inherit_listener>("inheritListener"),
                                        InstanceMethod<&ReactorWrap::listener_name>("listenerName"),
                                        InstanceMethod<&ReactorWrap::listener_port>("listenerPort"),
                                        InstanceMethod<&ReactorWrap::remove_listener>("removeListener"),
                                        InstanceMethod<&ReactorWrap::peer_name>("peerName"),
                                        InstanceMethod<&ReactorWrap::detach>("detach"),
                                        InstanceMethod<&ReactorWrap::adopt>("adopt"),
                                        InstanceMethod<&ReactorWrap::peek_end>("peekEnd"),
                                        InstanceMethod<&ReactorWrap::release>("release"),
                                        InstanceMethod<&ReactorWrap::allow_huge_pages>("allowHugePages")}));
  }

  explicit ReactorWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ReactorWrap>(info) {
    Napi::Env env = info.Env();
    if (info.Length() < 2 || !info[0].IsObject() || !info[1].IsFunction()) {
      Napi::TypeError::New(env, "Reactor(options, onTurn)").ThrowAsJavaScriptException();
      return;
    }
    const Napi::Object given = info[0].As<Napi::Object>();
    ReactorOptions options;
    double memory_bytes = 0;
    if (!whole_number(env, given, "memoryBytes", kMostMemoryBytes, &memory_bytes) ||
        !whole_number(env, given, "queueDepth", kMostEntries, &options.queue_depth) ||
        !whole_number(env, given, "submissionCapacity", kMostEntries, &options.submission_capacity) ||
        !whole_number(env, given, "completionCapacity", kMostEntries, &options.completion_capacity) ||
        !whole_number(env, given, "workerThreads", kMostThreads, &options.worker_threads)) {
      return;
    }
    options.memory_bytes = static_cast<size_t>(memory_bytes);
    napi_get_value_bool(env, given.Get("reapInUserSpace"), &options.reap_in_user_space);
    napi_get_value_bool(env, given.Get("busyPollAuto"), &options.busy_poll_auto);
    napi_get_value_uint32(env, given.Get("busyPollMicroseconds"), &options.busy_poll_us);

    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    // Not make_shared, which needs libstdc++ of GCC 9.
    reactor_ = std::shared_ptr<Reactor>(new Reactor(options));
    const char* step = "";
    const int result = reactor_->open(
        loop, [this] { wake_up(); }, [this](uint32_t count) { turn(count); }, &step);
    if (result != 0) {
      reactor_.reset();
      throw_errno(env, step, result);
      return;
    }
    count_in(given.Get("counters"));
    on_turn_ = Napi::Persistent(info[1].As<Napi::Function>());
    // The context alone would not keep it.
    const Napi::Object resource = Napi::Object::New(env);
    context_ = std::make_unique<Napi::AsyncContext>(env, "aionbd.Reactor", resource);
    resource_ = Napi::Persistent(resource);
    napi_add_async_cleanup_hook(env, environment_ends, this, &cleanup_);
    // Open means in use: the garbage collector must wait for close().
    Ref();

    Napi::Object self = info.This().As<Napi::Object>();
    self.Set("memory", share(env, reactor_->memory()));
    self.Set("submissions", share(env, reactor_->submissions()));
    self.Set("completions", share(env, reactor_->completions()));
    // Functions of their own instead of methods: a method would look up its object in a property at each
    // call.
    self.Set("submit", Napi::Function::New(
                           env,
                           [reactor = reactor_](const Napi::CallbackInfo& info) -> Napi::Value {
                             if (!is_open(info, reactor)) return info.Env().Undefined();
                             return Napi::Number::New(info.Env(), reactor->submit(count_at(info, 0)));
                           },
                           "submit"));
    self.Set("push", Napi::Function::New(
                         env,
                         [reactor = reactor_](const Napi::CallbackInfo& info) {
                           if (is_open(info, reactor)) reactor->push(count_at(info, 0));
                         },
                         "push"));
  }

 private:
  // Doubles that TypeScript has made. They stay as long as the reactor counts in them; what is none is
  // ignored.
  void count_in(const Napi::Value& given) {
    if (!given.IsTypedArray() || given.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) return;
    Napi::Float64Array cells = given.As<Napi::Float64Array>();
    if (cells.ElementLength() < aionbd::kCounterCells) return;
    counters_ = Napi::Persistent(cells.As<Napi::Object>());
    reactor_->count_in(reinterpret_cast<aionbd::Counters*>(cells.Data()));
  }

  // One scope for all turns of this callback: what they leave for promises and ticks is done at its end.
  void wake_up() {
    const std::shared_ptr<Reactor> reactor = reactor_;
    // The environment ends, and the reactor waits for what is in flight: no JavaScript any more.
    if (!context_) return reactor->turn();
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    // With our object: the C++ wrapper would make a new one each time, and work for the garbage collector.
    napi_callback_scope scope_of_turns;
    const napi_status opened = napi_open_callback_scope(env, resource_.Value(), *context_, &scope_of_turns);
    if (opened != napi_ok) return reactor->turn();  // only wrong arguments would do that
    const Napi::CallbackScope callback(env, scope_of_turns);
    reactor->turn();
  }

  void turn(uint32_t count) {
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    const napi_value arguments[] = {Napi::Number::New(env, count)};
    napi_value ignored;
    raise(napi_call_function(env, Value(), on_turn_.Value(), 1, arguments, &ignored));
  }

  void call(Napi::Function function, std::initializer_list<napi_value> arguments) {
    napi_env env = Env();
    napi_value ignored;
    raise(
        napi_make_callback(env, *context_, Value(), function, arguments.size(), arguments.begin(), &ignored));
  }

  // Nobody above us can catch an exception: it is the process's uncaught one.
  void raise(napi_status status) {
    if (status != napi_pending_exception) return;
    napi_env env = Env();
    napi_value exception;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
  }

  // The thread or the process ends with the reactor open: everything in flight is waited for.
  static void environment_ends(napi_async_cleanup_hook_handle hook, void* data) {
    auto* self = static_cast<ReactorWrap*>(data);
    self->cleanup_ = nullptr;
    self->context_.reset();
    self->resource_.Reset();
    self->on_turn_.Reset();
    self->on_closed_.Reset();
    self->reactor_->count_in(nullptr);
    self->counters_.Reset();
    self->reactor_->close([hook] { napi_remove_async_cleanup_hook(hook); });
  }

  static bool is_open(const Napi::CallbackInfo& info, const std::shared_ptr<Reactor>& reactor) {
    if (reactor && !reactor->closing()) return true;
    Napi::Error::New(info.Env(), "the reactor is closed").ThrowAsJavaScriptException();
    return false;
  }

  bool usable(const Napi::CallbackInfo& info) { return is_open(info, reactor_); }

  void wake(const Napi::CallbackInfo& info) {
    if (usable(info)) reactor_->wake();
  }

  void close(const Napi::CallbackInfo& info) {
    if (!usable(info)) return;
    if (info.Length() > 0 && info[0].IsFunction())
      on_closed_ = Napi::Persistent(info[0].As<Napi::Function>());
    reactor_->close([this] { closed(); });
  }

  void closed() {
    Napi::HandleScope scope(Env());
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
    cleanup_ = nullptr;
    reactor_->count_in(nullptr);
    counters_.Reset();
    reactor_.reset();
    if (!on_closed_.IsEmpty()) call(on_closed_.Value(), {});
    on_closed_.Reset();
    on_turn_.Reset();
    context_.reset();
    resource_.Reset();
    Unref();
  }

  Napi::Value add_file(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(),
                             reactor_->add_file(int_at(info, 0), flag_at(info, 1), flag_at(info, 2)));
  }

  Napi::Value remove_file(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), reactor_->remove_file(int_at(info, 0)));
  }

  Napi::Value listening(const Napi::CallbackInfo& info, int fd, bool tcp) {
    const int result = fd < 0 ? fd : reactor_->add_listener(fd, tcp);
    return Napi::Number::New(info.Env(), result);
  }

  Napi::Value listen_tcp(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const int port = int_at(info, 1);
    if (port < 0 || port > UINT16_MAX) return Napi::Number::New(info.Env(), -EINVAL);
    const int fd = aionbd::listen_tcp(text_at(info, 0), static_cast<uint16_t>(port), int_at(info, 2));
    return listening(info, fd, true);
  }

  Napi::Value listen_unix(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return listening(info, aionbd::listen_unix(text_at(info, 0), int_at(info, 1)), false);
  }

  // Takes over the descriptor if it can be listened on.
  Napi::Value inherit_listener(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const int fd = int_at(info, 0);
    bool tcp = false;
    const int error = aionbd::prepare_listener(fd, &tcp);
    return listening(info, error != 0 ? error : fd, tcp);
  }

  Napi::Value listener_name(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const aionbd::Listener* listener = reactor_->listener(int_at(info, 0));
    return Napi::String::New(info.Env(), listener ? aionbd::local_name(listener->fd.get()) : "");
  }

  Napi::Value listener_port(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const aionbd::Listener* listener = reactor_->listener(int_at(info, 0));
    return Napi::Number::New(info.Env(), listener ? aionbd::local_port(listener->fd.get()) : 0);
  }

  Napi::Value remove_listener(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), reactor_->remove_listener(int_at(info, 0)));
  }

  Napi::Value peer_name(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const aionbd::Connection* connection = reactor_->connection(int_at(info, 0));
    return Napi::String::New(info.Env(), connection ? aionbd::peer_name(connection->fd()) : "");
  }

  Napi::Value detach(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), reactor_->detach_connection(int_at(info, 0)));
  }

  Napi::Value adopt(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), reactor_->adopt_connection(int_at(info, 0)));
  }

  Napi::Value peek_end(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const aionbd::Connection* connection = reactor_->connection(int_at(info, 0));
    if (!connection) return Napi::Number::New(info.Env(), -EBADF);
    if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      return Napi::Number::New(info.Env(), -EINVAL);
    }
    Napi::Uint8Array tail = info[1].As<Napi::Uint8Array>();
    return Napi::Number::New(info.Env(),
                             static_cast<double>(connection->peek_end(tail.Data(), tail.ByteLength())));
  }

  Napi::Value release(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), reactor_->memory()->release(bytes_at(info, 0), bytes_at(info, 1)));
  }

  Napi::Value allow_huge_pages(const Napi::CallbackInfo& info) {
    if (!usable(info)) return info.Env().Undefined();
    const bool allowed = info[2].ToBoolean();
    return Napi::Number::New(
        info.Env(), reactor_->memory()->allow_huge_pages(bytes_at(info, 0), bytes_at(info, 1), allowed));
  }

  std::shared_ptr<Reactor> reactor_;
  Napi::FunctionReference on_turn_;
  Napi::FunctionReference on_closed_;
  Napi::ObjectReference counters_;
  std::unique_ptr<Napi::AsyncContext> context_;
  Napi::ObjectReference resource_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

Napi::Value probe_file(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const aionbd::FileFacts facts = aionbd::probe_file(int_at(info, 0));
  if (facts.error != 0) return throw_errno(env, "fstat", facts.error);
  Napi::Object result = Napi::Object::New(env);
  result.Set("regular", Napi::Boolean::New(env, facts.regular));
  result.Set("blockDevice", Napi::Boolean::New(env, facts.block_device));
  result.Set("sizeBytes", Napi::Number::New(env, static_cast<double>(facts.size)));
  result.Set("memoryAlignment", Napi::Number::New(env, facts.memory_alignment));
  result.Set("offsetAlignment", Napi::Number::New(env, facts.offset_alignment));
  return result;
}

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), aionbd::lock_file(int_at(info, 0), flag_at(info, 1)));
}

// Listening sockets that no reactor has: a descriptor, which is the caller's, or a negative errno.
Napi::Value open_tcp_listener(const Napi::CallbackInfo& info) {
  const int port = int_at(info, 1);
  const bool is_port = port >= 0 && port <= UINT16_MAX;
  return Napi::Number::New(
      info.Env(),
      is_port ? aionbd::listen_tcp(text_at(info, 0), static_cast<uint16_t>(port), int_at(info, 2)) : -EINVAL);
}

Napi::Value open_unix_listener(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), aionbd::listen_unix(text_at(info, 0), int_at(info, 1)));
}

Napi::Value local_port(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), aionbd::local_port(int_at(info, 0)));
}

Napi::Value duplicate_stream(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), aionbd::duplicate_stream(int_at(info, 0)));
}

Napi::Value stream_pair(const Napi::CallbackInfo& info) {
  aionbd::UniqueFd ends[2];
  const int error = aionbd::stream_pair(ends);
  if (error != 0) return throw_errno(info.Env(), "socketpair", error);
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) result.Set(i, Napi::Number::New(info.Env(), ends[i].release()));
  return result;
}

Napi::Value send_datagram(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), aionbd::send_datagram(text_at(info, 0), text_at(info, 1)));
}

// No cleanup, which would wait for I/O in flight: for a process that is to end though a disk hangs.
Napi::Value exit_now(const Napi::CallbackInfo& info) {
  _exit(int_at(info, 0));
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  ReactorWrap::define(env, exports);
  exports.Set("probeFile", Napi::Function::New<probe_file>(env));
  exports.Set("lockFile", Napi::Function::New<lock_file>(env));
  exports.Set("openTcpListener", Napi::Function::New<open_tcp_listener>(env));
  exports.Set("openUnixListener", Napi::Function::New<open_unix_listener>(env));
  exports.Set("localPort", Napi::Function::New<local_port>(env));
  exports.Set("duplicateStream", Napi::Function::New<duplicate_stream>(env));
  exports.Set("streamPair", Napi::Function::New<stream_pair>(env));
  exports.Set("exitNow", Napi::Function::New<exit_now>(env));
  exports.Set("sendDatagram", Napi::Function::New<send_datagram>(env));
  exports.Set("submissionBytes", Napi::Number::New(env, sizeof(aionbd::Submission)));
  exports.Set("completionBytes", Napi::Number::New(env, sizeof(aionbd::Completion)));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, start)
