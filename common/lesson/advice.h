#ifndef COMMON_LESSON_ADVICE_H_
#define COMMON_LESSON_ADVICE_H_

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/lesson/machine.h"

namespace steps {

/// Why a call was refused, and the least that would allow it.
struct Advice {
  std::string cause;
  std::string remedy;
};

/// The cause of `exception` on `machine`, when the machine refused the call;
/// nothing when the fault must lie elsewhere.
std::optional<Advice> Explain(const std::exception& exception,
                              const Machine& machine);

/// A refusal that is explained where it is met, because only there is known
/// what the call was for.
struct ExplainedError : std::runtime_error {
  ExplainedError(const std::string& what, Advice why)
      : std::runtime_error(what), advice(std::move(why)) {}

  Advice advice;
};

/// Throws ExplainedError unless /proc has this process's own PID for it: in a
/// PID namespace without a /proc of its own, the PIDs there are those of other
/// processes. Throws CallError where /proc cannot be examined.
void CheckProc();

}  // namespace steps

#endif  // COMMON_LESSON_ADVICE_H_
