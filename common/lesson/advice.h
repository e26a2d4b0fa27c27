#ifndef COMMON_LESSON_ADVICE_H_
#define COMMON_LESSON_ADVICE_H_

#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace steps {

/// What may stand in a process's way: one bit each.
enum Trait : unsigned {
  kAnywhere = 0,
  // The process.
  kUidZero = 1U << 0,     // As the effective one.
  kPrivileged = 1U << 1,  // CAP_SYS_ADMIN is in the effective set.
  kNoSetfcap = 1U << 2,   // It is uid 0, and CAP_SETFCAP is not there.
  kUnmapped = 1U << 3,    // Its user namespace has no map yet.
  kFiltered = 1U << 4,    // By seccomp(2).
  kConfined = 1U << 5,    // By a profile of AppArmor's.
  // Where it is.
  kInContainer = 1U << 6,  // In one of an engine's.
  kInChroot = 1U << 7,     // Its root is no mount point.
  kMaskedProc = 1U << 8,   // Parts of /proc are hidden under mounts.
  // The machine.
  kNoUserClone = 1U << 9,  // Debian's switch for ordinary users is off.
  kRestricted = 1U << 10,  // Ubuntu's is on: its unprivileged_userns profile.
  kSelinux = 1U << 11,     // It is enforcing.
};

/// This machine, as a process finds it.
struct Machine {
  unsigned traits = kAnywhere;
  // How many namespaces there may be of each kind that it knows, by its flag.
  std::map<int, std::uint64_t> most = {};
  std::string profile = "";  // AppArmor's.

  bool Is(unsigned these) const { return (traits & these) == these; }

  /// Looks at this process, and at the files below `root`: one that is not
  /// there says nothing. Throws CallError.
  static Machine Look(const std::string& root = "");
};

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
