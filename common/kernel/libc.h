#ifndef COMMON_KERNEL_LIBC_H_
#define COMMON_KERNEL_LIBC_H_

// What older C libraries lack, under its own name: musl all of it, glibc before
// 2.32 the names, and before 2.36 mount_setattr(2).

#include <features.h>
#include <sys/mount.h>

#include <cstddef>
#include <cstdint>

#ifndef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 0
#endif

namespace steps {

#if !__GLIBC_PREREQ(2, 32)
/// "EPERM", or nullptr: of the errnos, those that a lesson may meet. errno(3).
const char* strerrorname_np(int error);

/// "KILL", or nullptr. signal(7).
const char* sigabbrev_np(int signal);
#endif

#if !__GLIBC_PREREQ(2, 36)
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#endif

struct mount_attr {
  std::uint64_t attr_set;
  std::uint64_t attr_clr;
  std::uint64_t propagation;
  std::uint64_t userns_fd;
};

/// mount_setattr(2).
int mount_setattr(int directory, const char* path, unsigned int flags,
                  mount_attr* attr, std::size_t size);
#endif

}  // namespace steps

#endif  // COMMON_KERNEL_LIBC_H_
