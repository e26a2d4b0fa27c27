#ifndef COMMON_KERNEL_CALL_H_
#define COMMON_KERNEL_CALL_H_

#include <cerrno>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace steps {

/// The name of an errno: "ENOENT", or of a signal: "SIGKILL"; where it has
/// none, "errno 4711" or "signal 64". errno(3), signal(7).
std::string ErrnoName(int error);
std::string SignalName(int signal);

/// A line of a source file, from 1. The file is as the compiler was given it:
/// "directory/name.cc".
struct Place {
  const char* file = "";
  int line = 0;

  /// Where it is called, as a default argument.
  static constexpr Place Here(const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// A system call that was made.
struct Call {
  std::string text;  // As strace(1) writes it: `sethostname("vm", 2)`.
  long result = 0;
  int error = 0;  // errno where the result is -1.
  Place place = {};
};

/// A system call that failed. what() has the call and its errno.
class CallError : public std::runtime_error {
 public:
  explicit CallError(Call call);
  CallError(int error, std::string text)
      : CallError({.text = std::move(text), .result = -1, .error = error}) {}

  const Call& call() const { return call_; }
  int error() const { return call_.error; }

 private:
  Call call_;
};

/// The call that failed, where an exception of the standard library tells of
/// one: a file system's, that of a thread which could not begin, bad_alloc.
/// Nothing for others.
std::optional<CallError> AsCallError(const std::exception& error);

/// `observer` is told of the calls that this process makes with CALL and TRY.
void ObserveCalls(std::function<void(const Call&)> observer);
void TellCall(const Call& call);

// CALL makes a system call and tells of it; it throws CallError where the call
// fails, and gives the result. TRY does the same and gives the errno instead,
// or 0. MUST is a CALL that nobody is told of. Each calls again what a signal
// has interrupted, as Ctrl-Z and fg do.
//
//   CALL(kill, pid, SIGKILL);     tells: kill(4711, SIGKILL) = 0
#define CALL(function, ...) \
  STEPS_CALL(kShown, function, #function, #__VA_ARGS__, __VA_ARGS__)
#define TRY(function, ...) \
  STEPS_CALL(kErrno, function, #function, #__VA_ARGS__, __VA_ARGS__)
#define MUST(function, ...) \
  STEPS_CALL(kQuiet, function, #function, #__VA_ARGS__, __VA_ARGS__)
#define STEPS_CALL(mode, function, name, sources, ...)                        \
  ::steps::MakeCall<::steps::CallMode::mode>(                                 \
      name, sources, ::steps::Place{__FILE__, __LINE__},                      \
      [](auto... arguments) { return function(arguments...); } __VA_OPT__(, ) \
          __VA_ARGS__)

/// The same for what cannot be written so: gives `result`, and throws CallError
/// with errno where it is -1. `call` is the name, `texts` are the arguments
/// that are worth telling.
long Check(long result, const char* call,
           std::initializer_list<std::string_view> texts = {});

/// Calls again what a signal has interrupted.
template <typename Function>
auto Retry(Function function) {
  auto result = function();
  while (result == -1 && errno == EINTR) result = function();
  return result;
}

// What the macros are made of.

enum class CallMode { kShown, kErrno, kQuiet };

/// Takes the first from `sources`, arguments as they stand in the source.
std::string_view TakeArgument(std::string_view& sources);

/// Text, and a number that is `source` in the source, as strace writes them.
std::string ShowText(std::string_view text);
std::string ShowNumber(std::string_view source, long number);

template <typename T>
std::string ShowArgument(std::string_view source, T value) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    return ShowNumber(source, static_cast<long>(value));
  } else {
    if (value == nullptr) return "NULL";
    if constexpr (std::is_same_v<T, const char*>) return ShowText(value);
    return std::string(source);
  }
}

/// Tells of a call, and throws CallError where it failed, as `mode` has it.
void EndCall(CallMode mode, const char* name,
             const std::vector<std::string>& arguments, long result, int error,
             Place place);

template <CallMode mode, typename Function, typename... Args>
auto MakeCall(const char* name, [[maybe_unused]] std::string_view sources,
              Place place, Function function, Args... args) {
  const auto result = Retry([&] { return function(args...); });
  const int error = result == -1 ? errno : 0;
  if (mode != CallMode::kQuiet || error != 0) {
    EndCall(mode, name, {ShowArgument(TakeArgument(sources), args)...},
            static_cast<long>(result), error, place);
  }
  if constexpr (mode == CallMode::kErrno) {
    return error;
  } else {
    return result;
  }
}

}  // namespace steps

#endif  // COMMON_KERNEL_CALL_H_
