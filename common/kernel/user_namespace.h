#ifndef COMMON_KERNEL_USER_NAMESPACE_H_
#define COMMON_KERNEL_USER_NAMESPACE_H_

#include <sys/types.h>

#include <vector>

namespace steps {

/// The user and the group that a process has outside of a user namespace.
struct Ids {
  uid_t uid;
  gid_t gid;

  /// Those of this process: geteuid(2) and getegid(2).
  static Ids OfCaller();
};

/// Whether this process has all of these capabilities, CAP_SYS_ADMIN and the
/// like, in its effective set. Throws CallError. capabilities(7).
bool HasCapabilities(const std::vector<int>& capabilities);

/// Makes this process, in a user namespace that has no map yet, root there:
/// `outside` becomes uid 0 and gid 0. setgroups(2) is denied first, or an
/// ordinary user may not write the gid map. Throws CallError.
/// user_namespaces(7).
void MapToRoot(const Ids& outside);

/// Moves this process into a new user namespace and makes it root there.
/// Throws CallError. unshare(2).
void EnterUserNamespaceAsRoot();

}  // namespace steps

#endif  // COMMON_KERNEL_USER_NAMESPACE_H_
