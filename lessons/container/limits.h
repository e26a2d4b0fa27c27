#ifndef LESSONS_CONTAINER_LIMITS_H_
#define LESSONS_CONTAINER_LIMITS_H_

#include <list>
#include <string>

#include "common/kernel/cgroups.h"
#include "common/kernel/process.h"

namespace steps {

/// How much memory a container may use, in MiB.
constexpr int kMemory = 256;

/// The container's cgroups, a directory each: one, or one for each
/// controller where the hierarchies are of version 1. They last as long as
/// this object. cgroups(7).
class Limits {
 public:
  /// Makes them, for so many processes at once, PID 1 included. False where
  /// no cgroup here has children with limits. Throws CallError and
  /// std::runtime_error.
  bool Set(int processes);

  /// Moves that process into them. Throws CallError.
  void Enter(Process& process) const;

  /// Removes them now. Gives the exit status of a program that would end with
  /// `status`: 1 where one cannot be removed, which is named on stderr.
  int Remove(int status);

  /// What the kernel says of them: "20 processes, 256 MiB"; "none".
  const std::string& text() const { return text_; }

 private:
  std::list<Cgroup> cgroups_;
  std::list<std::string> files_;  // Their cgroup.procs.
  std::string text_ = "none";
};

}  // namespace steps

#endif  // LESSONS_CONTAINER_LIMITS_H_
