// chroot: what changing the root is not.            chroot(2), pivot_root(2)
//
//   bazel run //lessons:chroot                the lesson
//   bazel run //lessons:chroot -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT; an ordinary user gets them in a
// user namespace.

#include <fcntl.h>
#include <fmt/ranges.h>
#include <glob.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/program/program.h"
#include "lessons/chroot_jail.h"

namespace steps {

// The device and inode of the root directory.
static std::pair<dev_t, ino_t> RootId() {
  struct stat root = {};
  MUST(stat, "/", &root);
  return {root.st_dev, root.st_ino};
}

static std::pair<dev_t, ino_t> machine;  // The root directory at first.
const Probe kRoot{"root directory", "stat(2)", []() -> std::string {
                    if (RootId() == machine) return "the machine's";
                    const bool jail = access("/jail", F_OK) == 0;
                    return jail ? "the jail" : "another one";
                  }};
// The first names, as many as fit in the line.
const Probe kListing{"names in /", "glob(3)", [] {
                       glob_t names = {};
                       glob("/*", 0, nullptr, &names);
                       char** const end = names.gl_pathv + names.gl_pathc;
                       const auto text = fmt::format(
                           "{}", fmt::join(names.gl_pathv, end, " "));
                       globfree(&names);
                       return text.substr(0, text.find(' ', 10)) + " …";
                     }};
const auto kHostname = FileProbe("hostname", "/proc/sys/kernel/hostname");
const Probe kPid{"PID", "getpid(2)", getpid};
const auto kIpc = LinkProbe("IPC namespace", "/proc/self/ns/ipc");

// glibc has no function for it.
static long pivot_root(const char* new_root, const char* put_old) {
  return syscall(SYS_pivot_root, new_root, put_old);
}

// ".." stops only at a process's own root. That one is moved to /usr, and
// the process goes up from above it.
static void Climb() {
  const int fd = CALL(open, "/", O_RDONLY | O_CLOEXEC);
  CALL(chdir, "/usr");
  CALL(chroot, ".");
  CALL(fchdir, fd);
  CALL(chdir, "..");
  CALL(chroot, ".");
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();
  machine = RootId();

  lesson.Step("Control: without chroot, a child has its parent's root",
              "`inside` makes a jail: a small root on /mnt, in its own mount "
              "namespace.");
  const Evidence before = outside.Ask(kRoot, kListing);
  const Evidence rest = outside.Ask(kHostname, kIpc);
  Process inside = outside.StandIn("inside", CLONE_NEWNS);
  inside.Run(MakeJail);
  lesson.Claim("Without chroot(2), a child's root is its parent's.",
               inside.Ask(kRoot) == before[kRoot]);

  lesson.Step("With chroot, it has another root, and nothing else is new");
  const auto namespaces = NamespacesOf(inside.pid());
  inside.Run([] { CALL(chdir, "/mnt"); });
  inside.Run([] { CALL(chroot, "."); });
  const Evidence jailed = inside.Ask(kRoot, kListing);
  lesson.Claim("chroot(2) gives a process another root directory.",
               jailed[kRoot] == "the jail");
  lesson.Claim("It changes neither the hostname, the PID nor a namespace.",
               inside.Ask(kHostname, kIpc) == rest &&
                   inside.Ask(kPid) == std::to_string(inside.pid()) &&
                   NamespacesOf(inside.pid()) == namespaces);

  lesson.Predict(
      "In the jail, root opens / as fd and makes /usr its root. What is its "
      "root after fchdir(fd), chdir(\"..\") and chroot(\".\")?",
      {before[kRoot], jailed[kRoot], "none: EPERM", "none: ENOENT"});

  lesson.Step("Root climbs out of a chroot");
  inside.Run(Climb);
  const Evidence escaped = inside.Ask(kRoot, kListing);
  lesson.Answer(escaped[kRoot],
                "\"..\" stops only at the root, and that is below.");
  lesson.Claim("Root leaves a chroot by an open descriptor and \"..\".",
               escaped == before);

  lesson.Step("After pivot_root, the same calls lead nowhere",
              "The jail becomes the root of the mount namespace; the old "
              "root is unmounted.");
  inside.Run([] { CALL(chdir, "/mnt"); });
  inside.Run([] { CALL(pivot_root, ".", "."); });
  inside.Run([] { CALL(umount2, ".", MNT_DETACH); });
  const std::string pivoted = inside.Ask(kRoot);
  inside.Run(Climb);
  const Evidence climbed = inside.Ask(kRoot, kListing);
  lesson.Claim("After pivot_root(2), the same calls end where they began.",
               pivoted == "the jail" && climbed == jailed);
  const Evidence after = outside.Ask(kRoot, kListing);
  lesson.Claim("Outside, the root is the same as before.", after == before);

  lesson.Compare(before, climbed, after);
  lesson.Remember("chroot is no wall against root: use pivot_root(2).");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({.name = "chroot",
                           .title = "chroot: what changing the root is not",
                           .man_page = "chroot(2), pivot_root(2)",
                           .needs = {CAP_SYS_ADMIN, CAP_SYS_CHROOT}},
                          steps::Teach, argc, argv);
}
