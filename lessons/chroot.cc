// chroot: what changing the root is not.            chroot(2),
// pivot_root(2)
//
//   bazel run //lessons:chroot                the lesson
//   bazel run //lessons:chroot -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT; an ordinary user gets them in a
// user namespace.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "common/kernel/libc.h"
#include "common/kernel/mounts.h"
#include "common/program/program.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

struct Id {
  dev_t device;
  ino_t inode;
};

Id RootId() {
  struct stat root = {};
  MUST(stat, "/", &root);
  return {root.st_dev, root.st_ino};
}

auto RootProbe(Id machine) {
  return Probe{
      "root directory", "stat(2)", [machine]() -> std::string {
        const Id root = RootId();
        if (root.device == machine.device && root.inode == machine.inode) {
          return "the machine's";
        }
        return fs::exists("/jail") ? "the jail" : "another directory";
      }};
}

// The first names, as many as fit in the line.
const Probe kListing{"names in /", "readdir(3)", [] {
                       std::set<std::string> names;
                       for (const auto& entry : fs::directory_iterator("/")) {
                         const std::string name = entry.path().filename();
                         if (!name.starts_with(".")) names.insert(name);
                       }
                       std::string text;
                       for (const std::string& name : names) {
                         if (text.size() + name.size() > 12)
                           return text + " …";
                         text += (text.empty() ? "" : " ") + name;
                       }
                       return text;
                     }};
const Probe kHostname{"hostname", "uname(2)", [] {
                        utsname names = {};
                        MUST(uname, &names);
                        return std::string(names.nodename);
                      }};
const Probe kPid{"PID", "getpid(2)", [] { return std::to_string(getpid()); }};
const Probe kIpc{"IPC namespace", "/proc/self/ns/ipc",
                 [] { return ReadLink("/proc/self/ns/ipc"); }};

// glibc has no function for it.
long pivot_root(const char* new_root, const char* put_old) {
  return syscall(SYS_pivot_root, new_root, put_old);
}

// A small root on /mnt, with the machine's programs, read-only.
void MakeJail() {
  MountTmpfs("/mnt");
  for (const std::string name :
       {"bin", "dev", "etc", "lib", "lib64", "proc", "sbin", "usr"}) {
    const std::string directory = "/" + name;
    if (!fs::exists(directory)) continue;
    fs::create_directory("/mnt" + directory);
    MUST(mount, directory.c_str(), ("/mnt" + directory).c_str(), nullptr,
         MS_BIND | MS_REC, nullptr);
  }
  fs::create_directory("/mnt/jail");
  mount_attr read_only = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  MUST(mount_setattr, AT_FDCWD, "/mnt", AT_RECURSIVE, &read_only,
       sizeof read_only);
  CALL(chdir, "/mnt");
}

// ".." stops only at a process's own root. That one is moved to /usr, and
// the process goes up from above it.
void Climb() {
  const int fd = CALL(open, "/", O_RDONLY | O_CLOEXEC);
  CALL(chdir, "/usr");
  CALL(chroot, ".");
  CALL(fchdir, fd);
  CALL(chdir, "..");
  CALL(chroot, ".");
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();
  const auto root = RootProbe(RootId());

  lesson.Step("Control: without chroot, a child has its parent's root",
              "The jail, a small root on /mnt, is in the child's mount "
              "namespace only.");
  const Evidence before = outside.Ask(root, kListing);
  Process child = outside.StandIn("child", CLONE_NEWNS);
  child.Run(MakeJail);
  lesson.Claim("Without chroot(2), a child's root is its parent's.",
               child.Ask(root) == before[root]);
  const Evidence rest = child.Ask(kHostname, kPid, kIpc);
  const auto namespaces = NamespacesOf(child.pid());

  lesson.Step("With chroot, it has another root, and nothing else is new");
  child.Run([] { CALL(chroot, "."); });
  const Evidence jailed = child.Ask(root, kListing);
  lesson.Claim("chroot(2) gives a process another root directory.",
               jailed[root] == "the jail");
  const Evidence rest_after = child.Ask(kHostname, kPid, kIpc);
  lesson.Claim("It changes neither the hostname, the PID nor a namespace.",
               rest_after == rest &&
                   NamespacesOf(child.pid()) == namespaces &&
                   rest[kHostname] == outside.Run(kHostname.read) &&
                   rest[kIpc] == outside.Run(kIpc.read));

  lesson.Predict(
      "In the jail, root opens / as fd, makes /usr its root by "
      "chroot(\".\"), "
      "calls fchdir(fd), chdir(\"..\") and chroot(\".\") again. Which root "
      "directory has it now?",
      {before[root], jailed[root], "none: EPERM", "none: ENOENT"});

  lesson.Step("Root climbs out of a chroot");
  child.Run(Climb);
  const Evidence escaped = child.Ask(root, kListing);
  lesson.Answer(escaped[root],
                "\"..\" stops only at a process's own root, and that was in "
                "/usr, below fd.");
  lesson.Claim("Root leaves a chroot by an open descriptor and \"..\".",
               escaped == before);

  lesson.Step("After pivot_root, the same calls lead nowhere",
              "The jail becomes the root of the mount namespace, and the old "
              "root is unmounted.");
  Process inside = outside.StandIn("inside", CLONE_NEWNS);
  inside.Run(MakeJail);
  inside.Run([] {
    CALL(pivot_root, ".", ".");
    CALL(umount2, ".", MNT_DETACH);
  });
  const Evidence pivoted = inside.Ask(root, kListing);
  inside.Run(Climb);
  const Evidence climbed = inside.Ask(root, kListing);
  lesson.Claim("After pivot_root(2), the same calls end where they began.",
               pivoted[root] == "the jail" && climbed == pivoted);
  const Evidence after = outside.Ask(root, kListing);
  lesson.Claim("Outside, the root is the same as before.", after == before);

  lesson.Compare(before, climbed, after);
  lesson.Remember(
      "chroot changes how paths are looked up; it is no wall against root. "
      "Containers use pivot_root.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({.name = "chroot",
                           .title = "chroot: what changing the root is not",
                           .man_page = "chroot(2), pivot_root(2)",
                           .needs = {CAP_SYS_ADMIN, CAP_SYS_CHROOT}},
                          steps::Teach, argc, argv);
}
