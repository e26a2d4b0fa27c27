#ifndef TESTS_SUPPORT_REFUSALS_H_
#define TESTS_SUPPORT_REFUSALS_H_

namespace steps {

// What a machine may refuse, for this process and for what it becomes. Each
// throws CallError.

/// A throwaway user namespace in which no namespace may be made of the kinds
/// that have these `flags`.
void ForbidNamespaces(int flags);

/// The next exec gives no capabilities, as that of an ordinary user, who is
/// uid 0 in a user namespace.
void GiveUpCapabilities();

/// CAP_NET_ADMIN, CAP_SYS_CHROOT and CAP_SYS_TIME, as of an ordinary user in a
/// container of Podman's with CAP_SYS_ADMIN and no more.
void DropCapabilities();

/// A /proc of which a part is covered, as in a container.
void MaskProc();

/// The /proc of another PID namespace.
void CoverProc();

/// A root directory that is no mount point, with all that programs need in it.
void EnterChroot(bool with_proc);

}  // namespace steps

#endif  // TESTS_SUPPORT_REFUSALS_H_
