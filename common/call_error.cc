#include "common/call_error.h"

#include <cstring>

namespace steps {

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : name;
}

CallError::CallError(int error, std::string call)
    : std::runtime_error(
          fmt::format("{}: {} ({})", call, strerror(error), ErrnoName(error))),
      call_(std::move(call)),
      error_(error) {}

}  // namespace steps
