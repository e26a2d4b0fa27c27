#ifndef COMMON_LESSON_MACHINE_H_
#define COMMON_LESSON_MACHINE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "common/kernel/namespaces.h"

namespace steps {

/// What may stand in a process's way: one bit each.
enum Trait : unsigned {
  kAnywhere = 0,
  // The process.
  kPrivileged = 1U << 0,    // CAP_SYS_ADMIN is in the effective set.
  kNoSetfcap = 1U << 1,     // It is uid 0, and CAP_SETFCAP is not there,
  kNoroot = 1U << 2,        // nor any other: SECBIT_NOROOT.
  kTwoUids = 1U << 3,       // The real one is not the effective one.
  kUnmapped = 1U << 4,      // Its user namespace has no number for it.
  kNoNewPrivs = 1U << 5,    // sudo(8) would give none.
  kFiltered = 1U << 6,      // By seccomp(2).
  kConfined = 1U << 7,      // By a profile of AppArmor's.
  kLittleMemory = 1U << 8,  // ulimit -v.
  // Where it is.
  kInContainer = 1U << 9,  // In one of an engine's.
  kInChroot = 1U << 10,    // Its root is not that of its mount namespace,
  kBareRoot = 1U << 11,    // and is no mount point.
  kMaskedProc = 1U << 12,  // Parts of /proc are hidden under mounts.
  // The machine.
  kNoUserClone = 1U << 13,  // Debian's switch for ordinary users is off.
  kRestricted = 1U << 14,   // Ubuntu's is on: its unprivileged_userns profile.
  kSelinux = 1U << 15,      // It is enforcing.
  kGvisor = 1U << 16,       // That plays the kernel.
  kEmulated = 1U << 17,     // qemu-user plays another architecture.
};

/// The limit of namespaces of this kind: "max_uts_namespaces", a file of
/// /proc/sys/user. namespaces(7).
std::string LimitOf(const Kind& kind);

/// This machine, as a process finds it.
struct Machine {
  unsigned traits = kAnywhere;
  uid_t uid = 0;  // The effective one.
  uid_t real_uid = 0;
  std::string apparmor = {};         // The profile.
  std::set<std::string> kinds = {};  // The namespaces that it knows, by name.
  // The limits that there are: LimitOf() a kind, "pids.max", "ulimit -n".
  std::map<std::string, std::uint64_t> limits = {};

  bool Is(unsigned these) const { return (traits & these) == these; }

  /// Looks at the files below `root`. One that is not there says nothing.
  static Machine Look(const std::string& root = "");
};

}  // namespace steps

#endif  // COMMON_LESSON_MACHINE_H_
