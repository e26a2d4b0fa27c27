#ifndef COMMON_CGROUPS_H_
#define COMMON_CGROUPS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/guardian.h"
#include "common/mounts.h"

namespace steps {

/// The cgroup that a process is in, in one hierarchy: a line of its
/// /proc/PID/cgroup. cgroups(7).
struct Membership {
  std::string controllers;  // Of the hierarchy: "cpu,cpuacct". Version 2: "".
  std::string cgroup;       // "/a/b"
};

/// The lines of a /proc/PID/cgroup.
std::vector<Membership> MembershipsIn(const std::string& text);

/// Those of the process `pid`, as this one's cgroup namespace has them. Throws
/// CallError.
std::vector<Membership> MembershipsOf(pid_t pid);

/// The cgroup of the process `pid` in the hierarchy with these `controllers`.
/// Throws CallError, and std::out_of_range when there is no such hierarchy.
std::string CgroupOf(pid_t pid, const std::string& controllers);

/// Where a cgroup may be made.
struct CgroupPlace {
  std::string controllers;  // The hierarchy, as in Membership.
  std::string cgroup;       // Below which one: "/user.slice".
  std::string folder;       // Its folder: "/sys/fs/cgroup/user.slice".
  std::string home;         // The folder of this process's own cgroup.
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

/// A cgroup of this run's own: "steps-" and the PID. A guardian removes it with
/// all that is below it, however this process ends; a process that is still in
/// it then is moved home.
class Cgroup {
 public:
  /// Makes it at `place`, and `below` it the cgroups "a", "a/b". Throws
  /// CallError.
  Cgroup(const CgroupPlace& place, const std::vector<std::string>& below);

  /// The descriptor of its folder, for openat(2).
  int folder() const { return folder_.get(); }

 private:
  Descriptor home_;  // The cgroup.procs of the place's home.
  std::optional<Guardian> guardian_;
  Descriptor folder_;
};

}  // namespace steps

#endif  // COMMON_CGROUPS_H_
