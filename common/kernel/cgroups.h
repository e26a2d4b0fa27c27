#ifndef COMMON_KERNEL_CGROUPS_H_
#define COMMON_KERNEL_CGROUPS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"

namespace steps {

/// The cgroup that a process is in, in one hierarchy: a line of its
/// /proc/PID/cgroup. cgroups(7).
struct Membership {
  std::string controllers;  // Of the hierarchy: "cpu,cpuacct". Version 2: "".
  std::string cgroup;       // "/a/b"
};

/// The lines of a /proc/PID/cgroup.
std::vector<Membership> MembershipsIn(const std::string& text);

/// Where a cgroup may be made.
struct CgroupPlace {
  std::string controllers;  // The hierarchy, as in Membership.
  std::string cgroup;       // Below which one: "/user.slice".
  std::string folder;       // Its directory: "/sys/fs/cgroup/user.slice".
  std::string home;         // The directory of this process's own cgroup.
};

/// The nearest cgroup, from that of this process upwards, whose children have
/// the `controller` ("pids"), whether or not this process may make one. In
/// version 1 it is always its own, in version 2 one above as a rule: where a
/// process is, children have no controllers. Nothing where there is none.
/// Throws CallError.
std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller);

/// The same on a machine with these mounts, for a process with these
/// memberships.
std::optional<CgroupPlace> FindCgroupPlace(
    const std::string& controller, const std::vector<Membership>& memberships,
    const std::vector<Mount>& mounts);

/// A new cgroup: "steps-" and the PID of the caller. A guardian, a process that
/// outlives this one, makes it and removes it with all that is below it,
/// however this process ends; a process that is still in it is moved home.
class Cgroup {
 public:
  /// Makes it at `place`, and `below` it the cgroups "a", "a/b". Throws
  /// CallError.
  explicit Cgroup(const CgroupPlace& place,
                  const std::vector<std::string>& below = {});
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  /// Its directory.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Descriptor guardian_;  // The guardian removes it when this end is shut.
  pid_t pid_ = -1;
};

}  // namespace steps

#endif  // COMMON_KERNEL_CGROUPS_H_
