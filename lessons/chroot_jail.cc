#include "lessons/chroot_jail.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/mounts.h"

namespace steps {

namespace fs = std::filesystem;

void MakeJail() {
  MountTmpfs("/mnt");
  fs::create_directory("/mnt/jail");
  for (const std::string directory :
       {"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/usr"}) {
    if (!fs::exists(directory)) continue;
    const std::string target = "/mnt" + directory;
    fs::create_directory(target);
    MUST(mount, directory.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC,
         nullptr);
  }
  mount_attr read_only = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  MUST(mount_setattr, AT_FDCWD, "/mnt", AT_RECURSIVE, &read_only,
       sizeof read_only);
  // A call that answers 0 may have done nothing.
  for (const auto& directory : fs::directory_iterator("/mnt")) {
    struct statvfs system = {};
    MUST(statvfs, directory.path().c_str(), &system);
    if ((system.f_flag & ST_RDONLY) == 0) {
      throw std::runtime_error(directory.path().string() +
                               " can be written to: it is no jail");
    }
  }
}

}  // namespace steps
