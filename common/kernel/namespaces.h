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

/// The kind with this `flag`. Throws std::out_of_range.
const Kind& KindOf(int flag);

/// What makes two namespaces the same: the device and the inode that their
/// links in /proc/PID/ns lead to. namespaces(7).
struct NamespaceId {
  dev_t device;
  ino_t inode;

  friend auto operator<=>(const NamespaceId&, const NamespaceId&) = default;
};

/// The namespaces that the process `pid` is in, by the kind's flag; a kind that
/// this kernel lacks is left out. Throws CallError: ENOENT when there is no
/// such process, EACCES when it may not be inspected.
std::map<int, NamespaceId> NamespacesOf(pid_t pid);

/// The flags of the kinds that this kernel has. Throws CallError.
int KnownFlags();

/// The links of a process in /proc/PID/ns, by the kind's name. Throws as
/// NamespacesOf.
Evidence LinksOf(pid_t pid);

/// The flags of the kinds in which the two differ, or this process and the
/// process `pid`.
int Difference(const std::map<int, NamespaceId>& one,
               const std::map<int, NamespaceId>& other);
int Difference(pid_t pid);

/// The names of the kinds that have these `flags`: "uts ipc", or "(none)".
std::string KindNames(int flags);

/// The flags of clone(2) in its own words: "CLONE_NEWUTS | SIGCHLD".
std::string CloneFlags(int flags);

/// Whether this process has all of these capabilities, CAP_SYS_ADMIN and the
/// like, in its effective set. Throws CallError. capabilities(7).
bool HasCapabilities(const std::vector<int>& capabilities);

/// Makes this process, in a user namespace that has no map yet, root there:
/// `uid` and `gid` outside become 0. setgroups(2) is denied first, or an
/// ordinary user may not write the gid map. Throws CallError.
/// user_namespaces(7).
void MapToRoot(uid_t uid, gid_t gid);

/// Moves this process into a new user namespace and makes it root there.
/// Throws CallError. unshare(2).
void EnterUserNamespaceAsRoot();

}  // namespace steps

#endif  // COMMON_KERNEL_NAMESPACES_H_
