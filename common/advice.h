#ifndef COMMON_ADVICE_H_
#define COMMON_ADVICE_H_

#include <optional>
#include <set>
#include <string>

#include "common/call_error.h"

namespace steps {

/// Why a call was refused, and the least that would allow it.
struct Advice {
  std::string cause;
  std::string remedy;
};

/// What may stand in a process's way on this machine when it makes namespaces.
struct Machine {
  bool privileged = false;          // CAP_SYS_ADMIN is in the effective set.
  bool seccomp = false;             // A seccomp filter is at work.
  bool chroot = false;              // The root folder is no mount point.
  bool masked_proc = false;         // Parts of /proc are hidden under mounts.
  bool apparmor_restricts = false;  // Ubuntu's unprivileged_userns profile.
  bool unprivileged_clone = true;   // Debian's switch for ordinary users.
  std::set<std::string> limits;     // The user.max_*_namespaces that are 0.
  std::set<std::string> kinds;      // The names of the kinds that it knows.

  /// This machine, for this process. A file that is not there says nothing.
  static Machine Look();
};

/// The cause of `error` on `machine`, when the machine refused the call;
/// nothing when the fault must lie elsewhere.
std::optional<Advice> Explain(const CallError& error, const Machine& machine);

}  // namespace steps

#endif  // COMMON_ADVICE_H_
