#ifndef COMMON_KERNEL_CALL_H_
#define COMMON_KERNEL_CALL_H_

#include <fmt/format.h>

#include <cerrno>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/kernel/libc.h"  // IWYU pragma: export

namespace steps {

/// The name of an errno: "ENOENT". 0 is "0".
std::string ErrnoName(int error);

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
  std::string name;  // "mount"
  std::string text;  // As strace(1) writes it: `sethostname("vm", 2)`.
  std::vector<std::string> strings = {};  // Its arguments that are text,
  std::vector<long> numbers = {};         // and those that are numbers.
  int namespaces = 0;                     // The CLONE_NEW* among its arguments.
  long result = 0;
  int error = 0;  // errno where the result is -1.
  Place place = {};
};

/// A system call that failed. what() has the call and its errno.
class CallError : public std::runtime_error {
 public:
  explicit CallError(Call call);
  CallError(int error, const std::string& text,
            std::vector<std::string> strings = {});

  const Call& call() const { return call_; }
  int error() const { return call_.error; }

 private:
  Call call_;
};

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
  std::vector<std::string> strings;
  [[maybe_unused]] const auto add = [&strings](const auto& arg) {
    if constexpr (std::is_convertible_v<decltype(arg), std::string>) {
      strings.emplace_back(arg);
    }
  };
  (add(args), ...);
  throw CallError(error, fmt::format(call, std::forward<Args>(args)...),
                  std::move(strings));
}

// What the macros are made of.

enum class CallMode { kShown, kErrno, kQuiet };

/// Takes the arguments of a call one by one, and notes them in it.
class CallWriter {
 public:
  /// `texts` are the arguments as they stand in the source.
  CallWriter(const char* name, std::string_view texts, Place place)
      : texts_(texts), call_{.name = name, .text = name, .place = place} {
    call_.text += "(";
  }

  void Add(const char* value);
  void Add(char* buffer) {  // The call writes to it.
    Add(static_cast<const void*>(buffer));
  }
  void Add(std::nullptr_t) { AddShown("NULL"); }
  void Add(const void* value) {
    AddShown(value == nullptr ? "NULL" : NextText());
  }
  template <typename Result, typename... Args>
  void Add(Result (*)(Args...)) {  // A function, by its name.
    AddShown(NextText());
  }
  template <typename T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void Add(T value) {
    AddNumber(static_cast<long>(value));
  }

  Call Done(long result, int error);

 private:
  void AddNumber(long value);
  void AddShown(std::string_view shown);
  std::string NextText() const;  // Of the next argument.

  std::string_view texts_;
  Call call_;
};

/// Tells the observer.
void TellCall(const Call& call);

template <CallMode mode, typename Function, typename... Args>
auto MakeCall(const char* name, std::string_view texts, Place place,
              Function function, Args... args) {
  const auto result = function(args...);
  const int error = result == -1 ? errno : 0;
  if (mode != CallMode::kQuiet || error != 0) {
    CallWriter writer(name, texts, place);
    (writer.Add(args), ...);
    Call call = writer.Done(static_cast<long>(result), error);
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
