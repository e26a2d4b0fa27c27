#ifndef LESSONS_CONTAINER_PRIVILEGES_H_
#define LESSONS_CONTAINER_PRIVILEGES_H_

#include <linux/capability.h>

#include <cstdint>
#include <string>
#include <vector>

namespace steps {

/// What a container is made with: mounts, interfaces, and files of uid 0's
/// whatever the maker's own uid is.
inline const std::vector<int> kNeeded = {CAP_SYS_ADMIN, CAP_NET_ADMIN,
                                         CAP_DAC_OVERRIDE};

/// What engines leave of the capabilities: Docker's fourteen.
constexpr std::uint64_t kEnginesCapabilities = 0xa80425fb;

/// The capabilities that this process can ever have, a bit for each, and
/// those that it has now. Throws CallError. capabilities(7).
std::uint64_t BoundingSet();
std::uint64_t EffectiveSet();

/// How many of the kernel's capabilities `set` has: "14 of 41".
std::string CountOf(std::uint64_t set);

/// Whether an execve(2) may give it more than it has: "yes" or "no".
/// prctl(2).
std::string NoNewPrivileges();

/// Takes from this process all capabilities that engines do not leave, and
/// sets no_new_privs. Throws CallError.
void DropPrivileges();

}  // namespace steps

#endif  // LESSONS_CONTAINER_PRIVILEGES_H_
