#include "common/show/renderer.h"

#include <fmt/format.h>

#include <cstring>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {

OutputError::OutputError(int error)
    : std::runtime_error(fmt::format("cannot write the output: {} ({})",
                                     strerror(error), ErrnoName(error))),
      error_(error) {}

void WriteOutput(int fd, std::string_view text) {
  try {
    WriteAll(fd, text);
  } catch (const CallError& error) {
    throw OutputError(error.error());
  }
}

Write To(int fd) {
  return [fd](std::string_view text) { WriteOutput(fd, text); };
}

}  // namespace steps
