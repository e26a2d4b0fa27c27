#ifndef LESSONS_CHECK_XRAY_H_
#define LESSONS_CHECK_XRAY_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/namespaces.h"
#include "lessons/check/host.h"
#include "lessons/check/observe.h"

namespace steps {

/// What is known of one process of the program, from outside and from a
/// probe that joined it.
struct Inside {
  pid_t pid = -1;
  int host_pid = -1;                      // As the host has it.
  int own_pid = -1;                       // As it has it itself.
  std::string name;                       // "bash"
  std::map<int, NamespaceId> namespaces;  // By the kind's flag.
  int isolated = 0;                   // The kinds that are not the host's.
  std::string uid_map, gid_map;       // As the host reads it.
  std::string capabilities;           // The effective ones: "41 of 41".
  std::string cgroup;                 // "/"
  std::string offsets;                // Of its clocks.
  std::string no_new_privs, seccomp;  // "0"
  std::vector<Mount> mounts;
  std::optional<View> view;  // Nothing: it could not be joined.

  bool Has(int kind) const { return (isolated & kind) == kind; }
};

/// What a program came to in the throwaway host.
struct XRay {
  std::string compile_error;  // What g++(1) said; then there is no more.
  Observation observation;
  View before, after;                 // The host.
  std::vector<Inside> processes;      // Those that live, the oldest first.
  std::optional<std::size_t> inside;  // Which is isolated most.
  std::optional<NamespaceId> target;  // The UTS namespace to join.
  std::vector<std::string> zombies;   // "4 (sh), a child of 1 (init)"
  std::vector<pid_t> without_child;   // They have unshared a PID namespace.
  bool parent_gone = false;  // The program ended before its children.

  const Inside* Most() const {
    return inside ? &processes[*inside] : nullptr;
  }
  /// The mounts of `mounts` that are not among `others`: "proc on /proc".
  static std::vector<std::string> New(const std::vector<Mount>& mounts,
                                      const std::vector<Mount>& others);
};

/// The mount on `point`, the last of several; nullptr where there is none.
const Mount* MountAt(const std::vector<Mount>& mounts,
                     const std::string& point);

/// "shared", "slave", "private": what the mount passes on.
std::string Propagation(const Mount& mount);

/// Runs the program in a new host until it is at rest, and looks. Throws
/// what Host does.
XRay TakeXRay(const Order& order);

}  // namespace steps

#endif  // LESSONS_CHECK_XRAY_H_
