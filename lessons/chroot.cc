// chroot: what changing the root is not.           chroot(2), pivot_root(2)
//
// Two children get the same small root, one by chroot(2), the other by
// pivot_root(2), and take the same steps to get out. The lesson claims:
//
//   1. Without chroot(2), a child's root is its parent's.
//   2. With it, the same process has another root.
//   3. It changes neither hostname nor PID nor any namespace.
//   4. Root climbs out of the chroot by a descriptor and "..".
//   5. After pivot_root(2), the same steps end where they began.
//   6. Outside, the root is the same before and after.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:chroot                the lesson
//   bazel run //lessons:chroot -- --shell     and a shell inside
//   bazel run //lessons:chroot -- --help      all options

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// The evidence: where this process's paths begin.
Evidence LookAtRoot() {
  struct stat root = {};
  Check(stat("/", &root), "stat(\"/\")");
  const std::string identity =
      fmt::format("{}:{}, inode {}", major(root.st_dev), minor(root.st_dev),
                  root.st_ino);
  return {{"root", identity, "stat(2)"},
          {"/new_root", fs::exists("/new_root") ? "there" : "absent",
           "stat(2)"}};
}

// What chroot(2) might be thought to change as well.
Evidence LookAtTheRest() {
  utsname names = {};
  Check(uname(&names), "uname()");
  return {{"hostname", names.nodename, "uname(2)"},
          {"PID", fmt::to_string(getpid()), "getpid(2)"},
          FromLink("namespaces", "/proc/self/ns/ipc"),
          FromLink("namespaces", "/proc/self/ns/mnt")};
}

// What a shell needs in the new root: folders of the host, read-only here.
// A link among them, /bin to usr/bin, is a folder here.
void Furnish() {
  for (const std::string folder : {"/bin", "/dev", "/etc", "/lib", "/lib64",
                                   "/proc", "/sbin", "/usr"}) {
    if (!fs::exists(folder)) continue;
    fs::create_directory("/mnt" + folder);
    const int result = mount(folder.c_str(), ("/mnt" + folder).c_str(),
                             nullptr, MS_BIND | MS_REC, nullptr);
    Check(result, "mount(\"{0}\", \"/mnt{0}\", MS_BIND | MS_REC)", folder);
  }
  fs::create_directory("/mnt/new_root");
  mount_attr read_only = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  const int result = mount_setattr(AT_FDCWD, "/mnt", AT_RECURSIVE,
                                   &read_only, sizeof read_only);
  Check(result, "mount_setattr(\"/mnt\", AT_RECURSIVE, MOUNT_ATTR_RDONLY)");
}

// Mounts the new root, in this mount namespace only, and goes there.
void GoToNewRoot(Side& side) {
  int result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  side.Check(result,
             "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");
  result = mount("tmpfs", "/mnt", "tmpfs", 0, nullptr);
  side.Check(result, "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL)");
  Furnish();
  side.Check(chdir("/mnt"), "chdir(\"/mnt\")");
}

// The way out of a chroot. The root moves down, below a folder that is
// still open. ".." would stop at the root, and never meets it on its way.
void Climb(Side& side) {
  const Descriptor old(open("/", O_RDONLY | O_CLOEXEC));
  side.Check(old.get(), "open(\"/\", O_RDONLY)");
  side.Check(chdir("/usr"), "chdir(\"/usr\")");
  side.Check(chroot("."), "chroot(\".\")");
  side.Check(fchdir(old.get()), "fchdir({})", old.get());
  do {
    side.Check(chdir(".."), "chdir(\"..\")");
  } while (!fs::equivalent(".", ".."));
  side.Check(chroot("."), "chroot(\".\")");
}

// The control, chroot(2), and the way out of it: all in one process.
void Chrooted(Line& line) {
  Side child("child", line);
  GoToNewRoot(child);
  child.Show(LookAtRoot());
  child.Show(LookAtTheRest());
  line.Checkpoint();

  Side chrooted("chrooted", line);
  const int result = chroot(".");
  chrooted.Check(result, "chroot(\".\")");
  chrooted.Show(LookAtRoot());
  chrooted.Show(LookAtTheRest());
  line.Checkpoint();

  Climb(chrooted);
  Side("escaped", line).Show(LookAtRoot());
}

// The experiment: the new root becomes that of the mount namespace. The old
// one, put on top of it for want of another place, is then taken off.
void Inside(Line& line) {
  Side inside("inside", line);
  GoToNewRoot(inside);
  // Through syscall(2): glibc has no pivot_root().
  const auto pivoted = syscall(SYS_pivot_root, ".", ".");
  inside.Check(pivoted, "pivot_root(\".\", \".\")");
  const int result = umount2(".", MNT_DETACH);
  inside.Check(result, "umount2(\".\", MNT_DETACH)");
  inside.Show(LookAtRoot());

  Climb(inside);
  inside.Show(LookAtRoot());
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the root of this machine");
  const Evidence before = outside.Show(LookAtRoot());
  const std::string& root = before.Value("root");
  const Evidence rest = outside.Show(LookAtTheRest());

  lesson.Begin("Control: without chroot a child has its parent's root");
  lesson.Note(
      "The new root on /mnt is in the child's mount namespace only.");
  const int flags = CLONE_NEWNS | SIGCHLD;
  Child child(Chrooted);
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  outside.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  // Hear() passes on what the child tells, its next evidence included.
  const std::string control = outside.Hear(child).Value("root");
  outside.Hear(child);
  const auto namespaces = NamespacesOf(pid);

  lesson.Begin(
      "The same child with chroot: another root, and nothing else");
  child.Release();
  const std::string chrooted = outside.Hear(child).Value("root");
  const Evidence rest_after = outside.Hear(child);
  const auto namespaces_after = NamespacesOf(pid);
  lesson.Predict(
      "Next, the child opens /, calls chroot(2) once more in /usr, and "
      "climbs from the open folder by \"..\". Which root does it reach?",
      {chrooted, root});

  lesson.Begin("Root climbs out of the chroot");
  child.Release();
  const std::string escaped = outside.Hear(child).Value("root");
  lesson.Answer(escaped,
                "\"..\" stops only at a process's own root, and that is in "
                "/usr now.");
  child.Finish();

  lesson.Begin("Inside: after pivot_root the same steps lead nowhere");
  Child kept(Inside);
  const pid_t kept_pid = clone(Child::Main, kept.stack_top(), flags, &kept);
  outside.Check(kept.Started(kept_pid), "clone({})", CloneFlags(flags));
  const std::string inside = outside.Hear(kept).Value("root");
  const Evidence climbed = outside.Hear(kept);

  lesson.Begin("Outside again, with the new root still there");
  const Evidence after = outside.Show(LookAtRoot());
  lesson.Compare(before, climbed, after);

  lesson.Claim("Without chroot(2), a child's root is its parent's.",
               control == root);
  lesson.Claim("With it, the same process has another root.",
               chrooted != root);
  lesson.Claim(
      "It changes neither hostname nor PID nor any namespace.",
      namespaces_after == namespaces &&
          Difference(namespaces, NamespacesOf(getpid())) == CLONE_NEWNS &&
          rest_after.Value("hostname") == rest.Value("hostname") &&
          rest_after.Value("PID") == fmt::to_string(pid));
  lesson.Claim("Root climbs out of the chroot by a descriptor and \"..\".",
               escaped == root);
  lesson.Claim("After pivot_root(2), the same steps end where they began.",
               inside != root && climbed.Value("root") == inside);
  lesson.Claim("Outside, the root is the same before and after.",
               after.Value("root") == root);

  lesson.Keep(std::move(kept));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "chroot",
                           .title = "chroot: what changing the root is not",
                           .man_page = "chroot(2), pivot_root(2)"},
                          steps::Teach);
}
