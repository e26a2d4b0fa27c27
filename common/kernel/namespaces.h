#ifndef COMMON_KERNEL_NAMESPACES_H_
#define COMMON_KERNEL_NAMESPACES_H_

#include <sys/types.h>

#include <array>
#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernel/probe.h"

namespace steps {

/// A kind of namespace, as namespaces(7) lists them.
struct Kind {
  std::string_view name;       // As in nsenter(1)'s options: "mount".
  int flag;                    // For clone(2) and unshare(2): CLONE_NEWNS.
  std::string_view flag_name;  // "CLONE_NEWNS"
  std::string_view proc_name;  // Its link in /proc/PID/ns: "mnt".
  std::string_view isolates;   // What each namespace has of its own.
  std::string_view since;     // The first kernel in which it isolated all that.
  std::string_view man_page;  // "mount_namespaces(7)"
};

/// All eight kinds, the oldest first.
const std::array<Kind, 8>& Kinds();

/// The flags of all kinds.
int AllFlags();

/// The kind with this `flag`. Throws std::out_of_range.
const Kind& KindOf(int flag);

/// What makes two namespaces the same: the device and the inode that their
/// links in /proc/PID/ns lead to. namespaces(7).
struct NamespaceId {
  dev_t device;
  ino_t inode;

  friend auto operator<=>(const NamespaceId&, const NamespaceId&) = default;
};

/// Which namespace of this kind the process `pid` is in. Throws CallError:
/// ENOENT when there is no such process, or no such kind in this kernel;
/// EACCES when the process may not be inspected.
NamespaceId NamespaceOf(pid_t pid, const Kind& kind);

/// The namespaces that the process `pid` is in, by the kind's flag; a kind that
/// this kernel lacks is left out. Throws as NamespaceOf.
std::map<int, NamespaceId> NamespacesOf(pid_t pid);

/// The flags of the kinds that this kernel has. Throws CallError.
int KnownFlags();

/// The link of a process to its namespace of this kind: "/proc/1/ns/uts".
std::string LinkOf(pid_t pid, const Kind& kind);

/// A probe for each of these links: its label is the kind's name. Throws as
/// NamespacesOf.
inline auto LinksOf(pid_t pid) {
  const auto probe = [pid](const Kind& kind) {
    return Probe{std::string(kind.name), LinkOf(pid, kind),
                 [pid, &kind] { return ReadLink(LinkOf(pid, kind)); }};
  };
  std::vector<decltype(probe(Kinds().front()))> probes;
  const auto namespaces = NamespacesOf(pid);
  for (const Kind& kind : Kinds()) {
    if (namespaces.contains(kind.flag)) probes.push_back(probe(kind));
  }
  return probes;
}

/// The flags of the kinds in which the two differ.
int Difference(const std::map<int, NamespaceId>& one,
               const std::map<int, NamespaceId>& other);

/// The names of the kinds that have these `flags`: "uts ipc", or "(none)".
std::string KindNames(int flags);

/// The flags of clone(2) in its own words: "CLONE_NEWUTS | SIGCHLD".
std::string CloneFlags(int flags);

}  // namespace steps

#endif  // COMMON_KERNEL_NAMESPACES_H_
