#ifndef COMMON_LESSON_ADVICE_H_
#define COMMON_LESSON_ADVICE_H_

#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"

namespace steps {

/// Why a call was refused, and the least that would allow it.
struct Advice {
  std::string cause;
  std::string remedy;
};

/// What may stand in a process's way on this machine when it makes namespaces.
struct Machine {
  bool privileged = false;          // CAP_SYS_ADMIN is in the effective set.
  bool mapped = true;               // Its user namespace has a number for it.
  bool seccomp = false;             // A seccomp filter is at work.
  std::string apparmor = {};        // The profile that confines it, or empty.
  bool chroot = false;              // The root directory is no mount point.
  bool masked_proc = false;         // Parts of /proc are hidden under mounts.
  bool apparmor_restricts = false;  // Ubuntu's unprivileged_userns profile.
  bool unprivileged_clone = true;   // Debian's switch for ordinary users.
  std::set<std::string> limits;     // The user.max_*_namespaces that are 0.
  std::set<std::string> kinds;      // The names of the kinds that it knows.

  /// This machine, for this process, as the files in `proc` and the mounts
  /// tell. A file that is not there says nothing.
  static Machine Look(const std::string& proc = "/proc");
};

/// The cause of `error` on `machine`, when the machine refused the call;
/// nothing when the fault must lie elsewhere.
std::optional<Advice> Explain(const CallError& error, const Machine& machine);

/// A refusal that a lesson explains itself, because only it knows what the call
/// was for.
class ExplainedError : public std::runtime_error {
 public:
  ExplainedError(const CallError& error, Advice advice)
      : std::runtime_error(error.what()), advice_(std::move(advice)) {}

  const Advice& advice() const { return advice_; }

 private:
  Advice advice_;
};

/// What the machine refuses though no call has failed, and why.
struct Refusal {
  std::string what;
  Advice advice;
};

/// Why this process cannot go by /proc; nothing when that has its own PID for
/// it. In a PID namespace that has no /proc of its own, a lesson would look at
/// strangers.
std::optional<Refusal> ExamineProc();

}  // namespace steps

#endif  // COMMON_LESSON_ADVICE_H_
