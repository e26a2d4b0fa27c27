#ifndef COMMON_LESSON_MACHINE_H_
#define COMMON_LESSON_MACHINE_H_

#include <cstdint>
#include <map>
#include <string>

namespace steps {

/// What may stand in a process's way: one bit each.
enum Trait : unsigned {
  kAnywhere = 0,
  // The process.
  kUidZero = 1U << 0,       // As the effective one.
  kPrivileged = 1U << 1,    // CAP_SYS_ADMIN is in the effective set.
  kNoSetfcap = 1U << 2,     // It is uid 0, and CAP_SETFCAP is not there,
  kNoroot = 1U << 3,        // nor any other: SECBIT_NOROOT.
  kTwoUids = 1U << 4,       // The real one is not the effective one.
  kUnmapped = 1U << 5,      // Its user namespace has no number for it.
  kNoNewPrivs = 1U << 6,    // sudo(8) would give none.
  kFiltered = 1U << 7,      // By seccomp(2).
  kConfined = 1U << 8,      // By a profile of AppArmor's.
  kLittleMemory = 1U << 9,  // ulimit -v.
  // Where it is.
  kInContainer = 1U << 10,  // In one of an engine's.
  kInChroot = 1U << 11,     // Its root is not that of its mount namespace,
  kBareRoot = 1U << 12,     // and is no mount point.
  kMaskedProc = 1U << 13,   // Parts of /proc are hidden under mounts.
  // The machine.
  kNoUserClone = 1U << 14,  // Debian's switch for ordinary users is off.
  kRestricted = 1U << 15,   // Ubuntu's is on: its unprivileged_userns profile.
  kSelinux = 1U << 16,      // It is enforcing.
  kGvisor = 1U << 17,       // That plays the kernel.
  kEmulated = 1U << 18,     // qemu-user plays another architecture.
};

/// This machine, as a process finds it.
struct Machine {
  unsigned traits = kAnywhere;
  int kinds = 0;  // The CLONE_NEW* flags of the namespaces that it knows.
  std::map<int, std::uint64_t> most = {};  // How many of each there may be.
  // Other facts, by name: "uid", "real_uid", "profile" of AppArmor's, and
  // limits: "pids.max", "ulimit -n".
  std::map<std::string, std::string> facts = {};

  bool Is(unsigned these) const { return (traits & these) == these; }

  /// Looks at the files below `root`. One that is not there says nothing.
  static Machine Look(const std::string& root = "");
};

}  // namespace steps

#endif  // COMMON_LESSON_MACHINE_H_
