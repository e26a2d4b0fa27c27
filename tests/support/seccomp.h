#ifndef TESTS_SUPPORT_SECCOMP_H_
#define TESTS_SUPPORT_SECCOMP_H_

#include <map>

namespace steps {

// Filters for this process, and for what it becomes. seccomp(2).

/// Has the system calls of these numbers fail, each with its errno.
void FilterCalls(const std::map<int, int>& errors);

/// Under which there is no clone3(2).
void ForbidClone3();

/// What Docker's default does to a container without CAP_SYS_ADMIN, as far as
/// namespaces go: EPERM, but for clone3(2), into which a filter cannot look.
void FilterAsDocker();

}  // namespace steps

#endif  // TESTS_SUPPORT_SECCOMP_H_
