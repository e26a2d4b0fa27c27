#ifndef COMMON_KERNEL_CALL_H_
#define COMMON_KERNEL_CALL_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace steps {

/// The name of an errno: "ENOENT". 0 is "0".
std::string ErrnoName(int error);

/// The name of a signal: "SIGKILL", or "signal 64". signal(7).
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
  std::string text;    // As strace(1) writes it: `sethostname("vm", 2)`.
  int namespaces = 0;  // The CLONE_NEW* among its arguments.
  long result = 0;
  int error = 0;  // errno where the result is -1.
  Place place = {};

  /// "sethostname"
  std::string name() const { return text.substr(0, text.find('(')); }
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

/// Who is told of the calls that this process makes with CALL and TRY; nobody
/// at first.
using CallObserver = std::function<void(const Call&)>;
void ObserveCalls(CallObserver observer);

// CALL makes a system call and tells of it; it throws CallError where the call
// fails, and gives the result. TRY does the same and gives the errno instead,
// or 0. MUST is a CALL that nobody is told of.
//
//   CALL(kill, pid, SIGKILL);     tells: kill(4711, SIGKILL) = 0
#define CALL(function, ...)                             \
  STEPS_CALL(kShown, #function, #__VA_ARGS__, function, \
             __VA_OPT__(, ) __VA_ARGS__)
#define TRY(function, ...)                              \
  STEPS_CALL(kErrno, #function, #__VA_ARGS__, function, \
             __VA_OPT__(, ) __VA_ARGS__)
#define MUST(function, ...)                             \
  STEPS_CALL(kQuiet, #function, #__VA_ARGS__, function, \
             __VA_OPT__(, ) __VA_ARGS__)
#define STEPS_CALL(mode, name, texts, function, ...)   \
  ::steps::MakeCall<::steps::CallMode::mode>(          \
      name, texts, ::steps::Place{__FILE__, __LINE__}, \
      [](auto... arguments) { return function(arguments...); } __VA_ARGS__)

/// Throws CallError with errno where `result` is -1, and gives it back. `call`
/// says in fmt's syntax what was called, such as `stat("{}")`.
template <typename Result, typename... Args>
Result Check(Result result, fmt::format_string<Args...> call, Args&&... args) {
  const int error = errno;
  if (result != -1) return result;
  throw CallError(error, fmt::format(call, std::forward<Args>(args)...));
}

/// Calls again what a signal has interrupted, as Ctrl-Z and fg do.
template <typename Function>
auto Retry(Function function) {
  auto result = function();
  while (result == -1 && errno == EINTR) result = function();
  return result;
}

// What the macros are made of.

enum class CallMode { kShown, kErrno, kQuiet };

/// An argument of a call: NULL, text, a number, or what only the source has a
/// name for.
using Argument =
    std::variant<std::nullptr_t, std::string, long, std::monostate>;

template <typename T>
Argument ArgumentOf(T value) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    return static_cast<long>(value);
  } else {
    if (value == nullptr) return nullptr;
    if constexpr (std::is_same_v<T, const char*>) return std::string(value);
    return std::monostate();
  }
}

/// The call of the function `name`, before it has a result. `texts` are the
/// arguments as they stand in the source.
Call DescribeCall(const char* name, std::string_view texts,
                  std::initializer_list<Argument> arguments);

/// Tells the observer.
void TellCall(const Call& call);

template <CallMode mode, typename Function, typename... Args>
auto MakeCall(const char* name, std::string_view texts, Place place,
              Function function, Args... args) {
  const auto result = function(args...);
  const int error = result == -1 ? errno : 0;
  if (mode != CallMode::kQuiet || error != 0) {
    Call call = DescribeCall(name, texts, {ArgumentOf(args)...});
    call.result = static_cast<long>(result);
    call.error = error;
    call.place = place;
    if (mode != CallMode::kQuiet) TellCall(call);
    if (mode != CallMode::kErrno && error != 0) {
      throw CallError(std::move(call));
    }
  }
  if constexpr (mode == CallMode::kErrno) {
    return error;
  } else {
    return result;
  }
}

}  // namespace steps

#endif  // COMMON_KERNEL_CALL_H_
