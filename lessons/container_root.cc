// A root for a container: the host's /usr, or a folder of the reader's,
// below an overlay.

#include "lessons/container_root.h"

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
#include <string>
#include <string_view>
#include <system_error>

#include "common/call_error.h"
#include "common/descriptor.h"
#include "common/mounts.h"
#include "lessons/container_build.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

void MakeFolder(const std::string& path, mode_t mode = 0755) {
  if (mkdir(path.c_str(), mode) == -1 && errno != EEXIST) {
    throw CallError(errno, fmt::format("mkdir(\"{}\", {:#o})", path, mode));
  }
}

void WriteFile(const std::string& path, std::string_view text) {
  const Descriptor file = Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  WriteAll(file.get(), text);
}

void Mount(Side& side, const std::string& source, const std::string& target,
           const std::string& type, unsigned long flags,
           const std::string& options) {
  const int result = mount(source.c_str(), target.c_str(), type.c_str(),
                           flags, options.c_str());
  side.Check(result, "mount(\"{}\", \"{}\", \"{}\", {}, \"{}\")", source,
             target, type, MountFlags(flags), options);
}

// In a user namespace, an overlay keeps its notes in another place.
bool InUserNamespace() {
  return ReadFile("/proc/self/uid_map").find("4294967295") ==
         std::string::npos;
}

// Shows `lower` on `target`, and nothing that is done there reaches it:
// what is written goes to `upper`, in memory. Where the kernel refuses
// that, nothing can be written.
void MountOverlay(Side& side, const std::string& lower,
                  const std::string& target) {
  const std::string options =
      fmt::format("lowerdir={},upperdir=upper,workdir=work{}", lower,
                  InUserNamespace() ? ",userxattr" : "");
  int result = mount("overlay", target.c_str(), "overlay", MS_NODEV,
                     options.c_str());
  const int error = side.Try(
      result, "mount(\"overlay\", \"{}\", \"overlay\", {}, \"{}\")", target,
      MountFlags(MS_NODEV), options);
  if (error == 0) return;
  result = mount(lower.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC,
                 nullptr);
  side.Check(result, "mount(\"{}\", \"{}\", NULL, {}, NULL)", lower, target,
             MountFlags(MS_BIND | MS_REC));
  mount_attr attributes = {MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0, 0, 0};
  result = mount_setattr(AT_FDCWD, target.c_str(), AT_RECURSIVE,
                         &attributes, sizeof attributes);
  side.Check(result,
             "mount_setattr(AT_FDCWD, \"{}\", AT_RECURSIVE, "
             "{{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV}})",
             target);
}

// Shows a file or folder of the host's, in which nothing can be changed.
void BindReadOnly(const std::string& source, const std::string& target,
                  std::uint64_t attributes) {
  Check(mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr),
        "mount(\"{}\", \"{}\", NULL, MS_BIND, NULL)", source, target);
  mount_attr attr = {MOUNT_ATTR_RDONLY | attributes, 0, 0, 0};
  Check(mount_setattr(AT_FDCWD, target.c_str(), 0, &attr, sizeof attr),
        "mount_setattr(AT_FDCWD, \"{}\", MOUNT_ATTR_RDONLY)", target);
}

// A root of nothing but the host's /usr, and what leads there.
void MakeRootOfUsr(Side& side) {
  MakeFolder("root/usr");
  MountOverlay(side, "/usr", "root/usr");
  for (const std::string folder :
       {"bin", "lib", "lib32", "lib64", "sbin"}) {
    if (fs::is_symlink("/" + folder)) {
      fs::copy_symlink("/" + folder, "root/" + folder);
    } else if (fs::exists("/" + folder)) {
      MakeFolder("root/" + folder);
      BindReadOnly("/" + folder, "root/" + folder, MOUNT_ATTR_NODEV);
    }
  }
}

// Devices by bind mounts: no other can be opened, because every other mount
// of the container is MS_NODEV. Read-only, or their modes could be changed.
void MakeDevices(Side& side) {
  Mount(side, "tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  for (const std::string name :
       {"full", "null", "random", "tty", "urandom", "zero"}) {
    const std::string device = "/mnt/dev/" + name;
    if (!fs::exists(device)) continue;
    WriteFile("/dev/" + name, "");
    BindReadOnly(device, "/dev/" + name, MOUNT_ATTR_NOEXEC);
  }
  MakeFolder("/dev/pts");
  Mount(side, "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620");
  MakeFolder("/dev/shm");
  Mount(side, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
        "mode=1777");
  fs::create_symlink("pts/ptmx", "/dev/ptmx");
  fs::create_symlink("/proc/self/fd", "/dev/fd");
  for (const std::string name : {"stdin", "stdout", "stderr"}) {
    const int number = name == "stdin" ? 0 : name == "stdout" ? 1 : 2;
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
  MakeFolder("/etc");
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
// overlay.
void ChangeRoot(Side& side, const std::string& image) {
  int result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  side.Check(result, "mount(\"none\", \"/\", NULL, {}, NULL)",
             MountFlags(MS_REC | MS_PRIVATE));
  // Opened here: it may lie below /mnt, and has to be of this namespace.
  const Descriptor lower =
      image.empty() ? Descriptor() : Open(image, O_PATH);
  Mount(side, "tmpfs", "/mnt", "tmpfs", MS_NODEV, "mode=755");
  Check(chdir("/mnt"), "chdir(\"/mnt\")");
  for (const char* folder : {"root", "upper", "work"}) MakeFolder(folder);
  if (image.empty()) {
    result = mount("root", "root", nullptr, MS_BIND, nullptr);
    side.Check(result, "mount(\"root\", \"root\", NULL, MS_BIND, NULL)");
    MakeRootOfUsr(side);
  } else {
    MountOverlay(side, fmt::format("/proc/self/fd/{}", lower.get()),
                 "root");
  }
  // What a folder of the reader's need not have. If one were a link, the
  // old root could be hidden behind another mount, and stay.
  for (const char* folder : {"root/dev", "root/mnt", "root/proc"}) {
    MakeFolder(folder);
    Open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }

  side.Check(chdir("root"), "chdir(\"root\")");
  // Through syscall(2): glibc has no pivot_root().
  const auto pivoted = syscall(SYS_pivot_root, ".", "mnt");
  side.Check(pivoted, "pivot_root(\".\", \"mnt\")");
  Check(chdir("/"), "chdir(\"/\")");
}

}  // namespace

// Now / is the new root, and the old one is on /mnt. Nothing is written
// before that is gone but to file systems that were mounted just now: a
// link in a reader's folder may lead anywhere.
void MakeRoot(Side& side, const std::string& image) {
  umask(022);
  ChangeRoot(side, image);
  MakeDevices(side);
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  int result = mount("proc", "/proc", "proc", kSafe, nullptr);
  const int error =
      side.Try(result, "mount(\"proc\", \"/proc\", \"proc\", {}, NULL)",
               MountFlags(kSafe));
  // An engine around this one may forbid it. Then there is no /proc.
  if (error == 0) ProtectProc();
  if (image.empty()) MakeEtcOfUsr();
  result = umount2("/mnt", MNT_DETACH);
  side.Check(result, "umount2(\"/mnt\", MNT_DETACH)");

  if (access("/etc", W_OK) == 0) {
    for (const auto& [path, text] : std::map<std::string, std::string>{
             {"/etc/hostname", fmt::format("{}\n", kName)},
             {"/etc/hosts", fmt::format("127.0.0.1 localhost\n{} {}\n"
                                        "{} gateway\n",
                                        kAddress, kName, kGateway)},
             {"/etc/resolv.conf", ""}}) {
      fs::remove(path);  // It may be a link that leads nowhere.
      WriteFile(path, text);
    }
  }
  if (image.empty()) {
    MakeFolder("/root", 0700);
    for (const char* folder : {"/run", "/var"}) MakeFolder(folder);
    MakeFolder("/tmp");
    Check(chmod("/tmp", 01777), "chmod(\"/tmp\", 01777)");
  }
}

// Of which kind the file system is that the container's programs are on.
Finding FromRoot(const std::string& image) {
  const std::string path = image.empty() ? "/usr" : "/";
  struct statfs system = {};
  Check(statfs(path.c_str(), &system), "statfs(\"{}\")", path);
  const char* kind = "writable";
  if ((system.f_flags & ST_RDONLY) != 0) kind = "read-only";
  if (system.f_type == OVERLAYFS_SUPER_MAGIC) kind = "an overlay";
  return {"programs", fmt::format("{}, {}", path, kind),
          fmt::format("statfs(\"{}\")", path)};
}

}  // namespace steps
