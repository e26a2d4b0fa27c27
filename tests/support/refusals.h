#ifndef TESTS_SUPPORT_REFUSALS_H_
#define TESTS_SUPPORT_REFUSALS_H_

#include <seccomp.h>

#include <functional>
#include <string>
#include <vector>

namespace steps {

// What a machine may refuse, for this process and for what it becomes. Each
// throws CallError.

/// That a system call fails with an errno, where its arguments compare so.
struct Refusal {
  int call;
  int error;
  std::vector<scmp_arg_cmp> when = {};
};

/// seccomp(2).
void FilterCalls(const std::vector<Refusal>& refusals);

/// What Docker's default does to a container without CAP_SYS_ADMIN, as far as
/// namespaces go: EPERM, but for clone3(2), into which a filter cannot look.
void FilterAsDocker();

/// Enters a throwaway user namespace in which no namespace may be made of the
/// kinds that have these `flags`; and one in which that is a further user one.
std::function<void()> Forbid(int flags);
void ForbidUserNamespaces();

/// A throwaway user namespace and a mount namespace, whose mounts are private.
void EnterPrivateMounts();

/// There something is mounted on `point`, for a further user namespace: to that
/// one the kernel refuses to show what lies below.
void MountOver(const std::string& point);

/// A /proc of which a part is covered, as in a container.
void MaskProc();

/// This process is PID 1 of a PID namespace with its own /proc: it takes root.
void EnterContainer();

/// The /proc of another PID namespace.
void CoverProc();

/// Another /dev, in which there is no shm.
void HideShm();

/// A disk that is full, where it writes on stdout.
void FillStdout();

}  // namespace steps

#endif  // TESTS_SUPPORT_REFUSALS_H_
