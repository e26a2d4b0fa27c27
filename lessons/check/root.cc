// The root of the throwaway host.

#include "lessons/check/root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// glibc has none.
int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}

void MakeDirectory(const std::string& path, mode_t mode = 0755) {
  fs::create_directories(path);
  MUST(chmod, path.c_str(), mode);
}

// What is bound cannot be changed. In the namespaces of the host, which are
// less privileged, these flags are locked. mount_namespaces(7).
void Bind(const std::string& from, const std::string& to,
          std::uint64_t flags) {
  MUST(mount, from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr);
  mount_attr attributes = {MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | flags, 0,
                           0, 0};
  MUST(mount_setattr, AT_FDCWD, to.c_str(), AT_RECURSIVE, &attributes,
       sizeof attributes);
}

void ShowDirectories() {
  for (const std::string& name : ShownDirectories()) {
    const std::string path = "/" + name;
    if (fs::is_symlink(path)) {
      fs::copy_symlink(path, name);
    } else if (fs::exists(path)) {
      MakeDirectory(name);
      Bind(path, name, MOUNT_ATTR_NODEV);
    }
  }
}

void MakeDevices() {
  for (const std::string name :
       {"full", "null", "random", "tty", "urandom", "zero"}) {
    const std::string path = "dev/" + name;
    Open(path, O_WRONLY | O_CREAT, 0666);
    Bind("/dev/" + name, path, MOUNT_ATTR_NOEXEC);
  }
  MakeDirectory("dev/shm");
  MUST(mount, "tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
       "mode=1777,size=64m");
  MakeDirectory("dev/pts");
  MUST(mount, "devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
       "newinstance,ptmxmode=0666,mode=0620");
  fs::create_symlink("pts/ptmx", "dev/ptmx");
  fs::create_symlink("/proc/self/fd", "dev/fd");
}

}  // namespace

void MakeThrowawayRoot(const Order& order) {
  MakeMountsPrivate();
  umask(022);
  MUST(mount, "tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV,
       "mode=755,size=256m");
  MUST(chdir, "/mnt");
  if (fs::directory_iterator(".") != fs::directory_iterator()) {
    throw std::runtime_error("mount(2) answered 0, and /mnt is not new");
  }
  for (const char* name : {"dev", "home", "media", "mnt", "proc", "root",
                           "run", "srv", "sys", "var"}) {
    MakeDirectory(name);
  }
  MakeDirectory("tmp", 01777);
  MakeDirectory("var/tmp", 01777);
  ShowDirectories();
  MakeDevices();
  MUST(mount, "proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
       nullptr);
  for (const Order::File& file : order.files) {
    const std::string path = file.path.substr(1);
    fs::create_directories(fs::path(path).parent_path());
    WriteFile(path, file.bytes);
    MUST(chmod, path.c_str(), file.mode | 0400);
  }
  if (!IsShown(order.directory + "/")) {
    fs::create_directories("." + order.directory);
  }
  MUST(pivot_root, ".", ".");
  MUST(umount2, ".", MNT_DETACH);
  MUST(chdir, "/");
}

}  // namespace steps
