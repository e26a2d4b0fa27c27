#ifndef COMMON_KERNEL_CGROUPS_H_
#define COMMON_KERNEL_CGROUPS_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/kernel/process.h"

namespace steps {

/// With this begins the name of every cgroup that is made here.
inline constexpr std::string_view kCgroupPrefix = "steps-";

/// The cgroups that a process is in, "/a/b", by the controllers of the
/// hierarchy: "cpu,cpuacct"; of version 2, "". cgroups(7).
using Cgroups = std::map<std::string, std::string>;

/// Those in the text of a /proc/PID/cgroup, and those of the process `pid`, as
/// this one's cgroup namespace has them. Throws CallError.
Cgroups CgroupsIn(const std::string& text);
Cgroups CgroupsOf(pid_t pid);

/// Where a cgroup may be made.
struct CgroupPlace {
  std::string controllers;  // The hierarchy, as in Cgroups.
  std::string directory;    // Below which one: "/sys/fs/cgroup/user.slice".
  std::string home;         // The directory of this process's cgroup.
};

/// The nearest cgroup, from that of this process upwards, whose children have
/// the `controller` ("pids"), if any; whether this process may make one or not.
/// In version 1 that is its own, in version 2 mostly one above: where a process
/// is, children have no controllers. /proc is below `root`. Throws CallError.
std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller,
                                           const std::string& root = "");

/// A cgroup of this run. A guardian, a process that outlives this one, removes
/// it with all that is below it, however this process ends; a process that is
/// still in it then is moved home.
class Cgroup {
 public:
  /// Makes it at `place`. Removes first what runs that were killed together
  /// with their guardians left there. Throws CallError.
  explicit Cgroup(const CgroupPlace& place);
  ~Cgroup() { Remove(); }
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  /// Its directory.
  const std::string& path() const { return path_; }

  /// Removes it now. What cannot be removed within five seconds is named on
  /// stderr: then the program is to end with 1.
  bool Remove();

 private:
  const std::string home_;  // The cgroup.procs of the place's home.
  const std::string path_;
  std::optional<Process> guardian_;
};

}  // namespace steps

#endif  // COMMON_KERNEL_CGROUPS_H_
