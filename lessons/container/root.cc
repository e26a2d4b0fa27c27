// A root for a container: the host's /usr, or a directory of the reader's,
// below an overlay.

#include "lessons/container/root.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <system_error>

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

// A directory as it is now: its file system and inode.
std::pair<dev_t, ino_t> Identity(const char* path) {
  struct stat status = {};
  MUST(stat, path, &status);
  return {status.st_dev, status.st_ino};
}

// A call that answers 0 may have done nothing. What follows would then be
// written to the reader's machine.
void MustBe(bool so, const char* what) {
  if (!so)
    throw std::runtime_error(fmt::format("a call answered 0, and {}", what));
}

void MakeDirectory(const std::string& path, mode_t mode = 0755) {
  if (mkdir(path.c_str(), mode) == -1 && errno != EEXIST) {
    throw CallError(errno, fmt::format("mkdir(\"{}\", {:#o})", path, mode));
  }
}

// In a user namespace, an overlay keeps its notes in another place.
bool InUserNamespace() {
  return ReadFile("/proc/self/uid_map").find("4294967295") ==
         std::string::npos;
}

void MustBeReadOnly(const char* path) {
  struct statfs system = {};
  MUST(statfs, path, &system);
  MustBe((system.f_flags & ST_RDONLY) != 0, "a mount can be written to");
}

// Shows `lower` on `target`, and nothing that is done there reaches it:
// what is written goes to `upper`, in memory. Where the kernel refuses
// that, nothing can be written.
void MountOverlay(const char* lower, const char* target) {
  const std::string options =
      fmt::format("lowerdir={},upperdir=upper,workdir=work{}", lower,
                  InUserNamespace() ? ",userxattr" : "");
  if (TRY(mount, "overlay", target, "overlay", MS_NODEV, options.c_str()) ==
      0) {
    return;
  }
  CALL(mount, lower, target, nullptr, MS_BIND | MS_REC, nullptr);
  mount_attr read_only = {MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0, 0, 0};
  CALL(mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &read_only,
       sizeof read_only);
  MustBeReadOnly(target);
}

// Shows a file or directory of the host's, in which nothing can be changed.
void BindReadOnly(const std::string& source, const std::string& target,
                  std::uint64_t attributes) {
  MUST(mount, source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr);
  mount_attr attr = {MOUNT_ATTR_RDONLY | attributes, 0, 0, 0};
  MUST(mount_setattr, AT_FDCWD, target.c_str(), 0, &attr, sizeof attr);
  MustBeReadOnly(target.c_str());
}

// A root of nothing but the host's /usr, and what leads there.
void MakeRootOfUsr() {
  MakeDirectory("root/usr");
  MountOverlay("/usr", "root/usr");
  for (const std::string name : {"bin", "lib", "lib32", "lib64", "sbin"}) {
    if (fs::is_symlink("/" + name)) {
      fs::copy_symlink("/" + name, "root/" + name);
    } else if (fs::exists("/" + name)) {
      MakeDirectory("root/" + name);
      BindReadOnly("/" + name, "root/" + name, MOUNT_ATTR_NODEV);
    }
  }
}

// Devices by bind mounts: no other can be opened, because every other mount
// of the container is MS_NODEV. Read-only, or their modes could be changed.
void MakeDevices() {
  CALL(mount, "tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  for (const std::string name :
       {"full", "null", "random", "tty", "urandom", "zero"}) {
    const std::string device = "/mnt/dev/" + name;
    if (!fs::exists(device)) continue;
    WriteFile("/dev/" + name, "");
    BindReadOnly(device, "/dev/" + name, MOUNT_ATTR_NOEXEC);
  }
  MakeDirectory("/dev/pts");
  MUST(mount, "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
       "newinstance,ptmxmode=0666,mode=0620");
  MakeDirectory("/dev/shm");
  MUST(mount, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
       "mode=1777");
  if (fs::exists("/mnt/proc/sys/fs/mqueue")) {  // This kernel has them.
    MakeDirectory("/dev/mqueue");
    MUST(mount, "mqueue", "/dev/mqueue", "mqueue",
         MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  }
  fs::create_symlink("pts/ptmx", "/dev/ptmx");
  fs::create_symlink("/proc/self/fd", "/dev/fd");
  for (const auto& [name, number] : std::map<std::string, int>{
           {"stdin", 0}, {"stdout", 1}, {"stderr", 2}}) {
    fs::create_symlink(fmt::format("/proc/self/fd/{}", number),
                       "/dev/" + name);
  }
}

// What of /proc is the whole machine's, and uid 0 may change or need not
// read. Engines protect the same.
void ProtectProc() {
  for (const std::string name :
       {"acpi", "asound", "bus", "dynamic_debug", "fs", "irq", "mtrr",
        "pressure", "scsi", "sys", "sysrq-trigger"}) {
    const std::string path = "/proc/" + name;
    if (fs::exists(path)) BindReadOnly(path, path, 0);
  }
  for (const std::string name :
       {"kcore", "keys", "sched_debug", "timer_list"}) {
    const std::string path = "/proc/" + name;
    if (fs::exists(path)) BindReadOnly("/dev/null", path, 0);
  }
}

// What a program looks up in /etc; what Debian's /usr needs there as well.
void MakeEtcOfUsr() {
  MakeDirectory("/etc");
  for (const std::string name :
       {"alternatives", "ld.so.cache", "os-release"}) {
    std::error_code missing;
    fs::copy("/mnt/etc/" + name, "/etc/" + name,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks,
             missing);
  }
  WriteFile("/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n");
  WriteFile("/etc/group", "root:x:0:\nnogroup:x:65534:\n");
}

// Goes to a new root, of which the host has only what lies below an
// overlay. The old one is then on /mnt.
void ChangeRoot(const std::string& image) {
  MakeMountsPrivate();
  // Opened here: it may lie below /mnt, and has to be of this namespace.
  const Descriptor lower = image.empty() ? Descriptor() : Open(image, O_PATH);
  const auto host = Identity("/mnt");
  CALL(mount, "tmpfs", "/mnt", "tmpfs", MS_NODEV, "mode=755");
  MustBe(Identity("/mnt") != host, "nothing new is mounted on /mnt");
  MUST(chdir, "/mnt");
  for (const char* name : {"root", "upper", "work"}) MakeDirectory(name);
  if (image.empty()) {
    CALL(mount, "root", "root", nullptr, MS_BIND, nullptr);
    MakeRootOfUsr();
  } else {
    const std::string path = fmt::format("/proc/self/fd/{}", lower.get());
    MountOverlay(path.c_str(), "root");
  }
  // What a directory of the reader's need not have. If one were a link, the
  // old root could be hidden behind another mount, and stay.
  for (const char* name : {"root/dev", "root/mnt", "root/proc"}) {
    MakeDirectory(name);
    Open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }

  MUST(chdir, "root");
  const auto root = Identity(".");
  CALL(pivot_root, ".", "mnt");
  MustBe(Identity("/") == root, "/ is still the old root");
  MUST(chdir, "/");
}

}  // namespace

// Nothing is written before the old root is gone but to file systems that
// were mounted just now: a link in a reader's directory may lead anywhere.
int MakeRoot(const char* image) {
  umask(022);
  const bool is_usr = *image == '\0';
  ChangeRoot(image);
  MakeDevices();
  // An engine around this one may forbid it.
  const int no_proc = TRY(mount, "proc", "/proc", "proc",
                          MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (no_proc == 0) ProtectProc();
  if (is_usr) MakeEtcOfUsr();
  const auto old_root = Identity("/mnt");
  CALL(umount2, "/mnt", MNT_DETACH);
  MustBe(Identity("/mnt") != old_root, "the old root is still on /mnt");

  if (access("/etc", W_OK) == 0) {
    for (const auto& [path, text] : std::map<std::string, std::string>{
             {"/etc/hostname", fmt::format("{}\n", kName)},
             {"/etc/hosts",
              fmt::format("127.0.0.1 localhost\n{} {}\n{} gateway\n",
                          kAddress, kName, kGateway)},
             {"/etc/resolv.conf", ""}}) {
      fs::remove(path);  // It may be a link that leads nowhere.
      WriteFile(path, text);
    }
  }
  if (is_usr) {
    MakeDirectory("/root", 0700);
    for (const char* name : {"/run", "/tmp", "/var"}) MakeDirectory(name);
    MUST(chmod, "/tmp", 01777);
  }
  return no_proc;
}

std::string Programs(const char* image) {
  const std::string path = *image == '\0' ? "/usr" : "/";
  struct statfs system = {};
  MUST(statfs, path.c_str(), &system);
  const char* kind = "writable";
  if ((system.f_flags & ST_RDONLY) != 0) kind = "read-only";
  if (system.f_type == OVERLAYFS_SUPER_MAGIC) kind = "an overlay";
  return fmt::format("{}, {}", path, kind);
}

}  // namespace steps
