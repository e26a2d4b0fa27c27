#ifndef COMMON_CALL_ERROR_H_
#define COMMON_CALL_ERROR_H_

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>

namespace steps {

/// The symbol of an errno value, as in errno(3): `EPERM`.
std::string ErrnoName(int error);

/// A call that failed. what() gives the call with its arguments and its errno:
/// `sethostname("web", 3): Operation not permitted (EPERM)`.
class CallError : public std::runtime_error {
 public:
  CallError(int error, std::string call);

  const std::string& call() const { return call_; }
  int error() const { return error_; }

 private:
  std::string call_;
  int error_;
};

/// Gives back the `result` of a call; when it is -1, throws the CallError that
/// errno and the call's own words, in fmt's syntax, make.
template <typename Result, typename... Args>
Result Check(Result result, fmt::format_string<Args...> call, Args&&... args) {
  if (result == -1) {
    const int error = errno;
    throw CallError(error, fmt::format(call, std::forward<Args>(args)...));
  }
  return result;
}

}  // namespace steps

#endif  // COMMON_CALL_ERROR_H_
