#ifndef COMMON_KERNEL_MOUNTS_H_
#define COMMON_KERNEL_MOUNTS_H_

#include <sys/mount.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// glibc has mount_setattr(2) from 2.36 on.
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#endif

namespace steps {

/// A mount, as a line of mountinfo tells of it. proc(5).
struct Mount {
  std::string device;   // Which file system it shows: "0:21".
  std::string root;     // Which directory of it: "/".
  std::string point;    // Where: "/proc", with the kernel's escapes (\040).
  std::string tags;     // "shared:1 master:2"; empty when it is private.
  std::string type;     // "proc"
  std::string options;  // Those of the file system: "rw,pids".
};

/// The mounts in the text of a mountinfo, such as /proc/self/mountinfo.
std::vector<Mount> MountsIn(const std::string& mountinfo);

/// The types of the file systems on `point`, the last first: "tmpfs",
/// "tmpfs over ext4", or "nothing". For a probe.
std::string MountedOn(const std::string& point);

/// The tags of the mount on `point`, and what they make of it: "shared:1
/// (peers)", "master:1 (slave)", "none (private)", or "nothing is mounted". For
/// a probe. mount_namespaces(7).
std::string PropagationOf(const std::string& point);

/// Makes every mount of this process private, so that what is mounted here
/// stays here; mounts a new tmpfs on `point`. Each throws CallError, and
/// std::runtime_error where mount(2) has answered 0 and done nothing.
void MakeMountsPrivate();
void MountTmpfs(const char* point);

struct mount_attr {
  std::uint64_t attr_set, attr_clr, propagation, userns_fd;
};

inline int mount_setattr(int directory, const char* path, unsigned flags,
                         mount_attr* attr, std::size_t size) {
  constexpr long kNumber = 442;  // On every architecture; since Linux 5.12.
  return static_cast<int>(syscall(kNumber, directory, path, flags, attr, size));
}

}  // namespace steps

#endif  // COMMON_KERNEL_MOUNTS_H_
