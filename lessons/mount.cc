// Mount namespace: a mount table of one's own.          mount_namespaces(7)
//
// Four children of one process mount a tmpfs each, and both sides look what
// they have. A fifth mounts what a container needs: a tmpfs of its own, and
// a proc that shows its own processes. The lesson claims:
//
//   1. Without CLONE_NEWNS, a child's new mount is its parent's.
//   2. With it, a shared mount still passes on new ones, both ways.
//   3. After MS_REC | MS_PRIVATE, it passes on none.
//   4. After MS_REC | MS_SLAVE, new ones come in and do not go out.
//   5. In another namespace, a tmpfs is mounted inside, not outside.
//   6. In a new PID namespace alone, /proc shows the outside.
//   7. A proc of its own lists the inside and nothing else.
//   8. Outside, /mnt and /proc are what they were.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
// Where a container engine masks /proc, it refuses a new one: 7 is skipped.
//
//   bazel run //lessons:mount                the lesson
//   bazel run //lessons:mount -- --shell     and a shell inside
//   bazel run //lessons:mount -- --help      all options

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/mounts.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

constexpr const char* kMountProc =
    "mount(\"proc\", \"/proc\", \"proc\", 0, NULL)";

// The evidence: which file system is mounted where.
Evidence Look() {
  return {FromMount("/mnt"), FromMount("/proc"),
          FromLink("namespace", "/proc/self/ns/mnt")};
}

// The evidence: what ps(1) lists, or only how much where that is many
// lines; and by which PID /proc knows this process: ps gives up where it is
// not its own.
Evidence List() {
  const std::string count = fmt::to_string(ProcessesIn("/proc").size());
  Finding listed = {"processes", count + " in all", "/proc"};
  const Finding self = FromLink("own PID", "/proc/self");
  if (self.value == fmt::to_string(getpid()))
    listed = FromTool({"ps", "-e", "-o", "pid,comm"}, listed);
  const auto lines = std::ranges::count(listed.value, '\n');
  if (lines > 2) listed.value = fmt::format("{} in all", lines);
  return {listed, self};
}

void Clone(Side& side, Child& child, int flags) {
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  side.Check(child.Started(pid), "clone({})", CloneFlags(flags));
}

// The act.
void MountTmpfs(Side& side, const std::string& point) {
  const int result = mount("tmpfs", point.c_str(), "tmpfs", 0, nullptr);
  side.Check(result, "mount(\"tmpfs\", \"{}\", \"tmpfs\", 0, NULL)", point);
}

// A new mount namespace begins with a copy of every mount, and what is
// mounted below a shared mount later passes from copy to copy. Here is
// decided, for all mounts: MS_PRIVATE stops that in both directions,
// MS_SLAVE outwards only.
void SetPropagation(Side& side, unsigned long type) {
  const int result = mount("none", "/", nullptr, MS_REC | type, nullptr);
  side.Check(result, "mount(\"none\", \"/\", NULL, {}, NULL)",
             MountFlags(MS_REC | type));
}

// Stands in for a host, in a mount namespace that is thrown away, and has
// four children, one after the other. Each mounts on /mnt/NAME, then its
// parent does on /mnt/outer, and both look.
void Outer(Line& line) {
  Side outer("outer", line);
  SetPropagation(outer, MS_PRIVATE);
  SetPropagation(outer, MS_SHARED);
  MountTmpfs(outer, "/mnt");
  std::filesystem::create_directory("/mnt/outer");
  const auto add = [&](const std::string& name, int flags,
                       unsigned long type) {
    const std::string point = "/mnt/" + name;
    std::filesystem::create_directory(point);
    Child child([&](Line& to_parent) {
      Side side(name, to_parent);
      if (type != 0) SetPropagation(side, type);
      MountTmpfs(side, point);
      side.Show({FromPropagation("/mnt")});
      to_parent.Checkpoint();
      side.Show({FromMount(point), FromMount("/mnt/outer")});
    });
    Clone(outer, child, flags);
    outer.Hear(child);
    MountTmpfs(outer, "/mnt/outer");
    child.Release();
    outer.Hear(child);
    child.Finish();
    outer.Show({FromMount(point), FromMount("/mnt/outer")});
    Check(umount("/mnt/outer"), "umount(\"/mnt/outer\")");
  };
  add("child", SIGCHLD, 0);
  add("shared", CLONE_NEWNS | SIGCHLD, 0);
  add("private", CLONE_NEWNS | SIGCHLD, MS_PRIVATE);
  add("slave", CLONE_NEWNS | SIGCHLD, MS_SLAVE);
}

// The experiment, in a mount namespace and a PID namespace of its own. The
// first call prevents the accident: on a host whose mounts are shared, the
// new proc would be the host's, too.
void Inside(Line& line) {
  Side inside("inside", line);
  SetPropagation(inside, MS_PRIVATE);
  MountTmpfs(inside, "/mnt");
  inside.Show(List());
  const int result = mount("proc", "/proc", "proc", 0, nullptr);
  const int refusal = inside.Try(result, "{}", kMountProc);
  inside.Show(List());
  inside.Show(Look());
  line.Send(fmt::to_string(refusal));  // To be judged, not shown.
  // For --shell, whose orphans come to PID 1: the kernel reaps the children
  // of a process that ignores SIGCHLD.
  std::signal(SIGCHLD, SIG_IGN);
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: what is mounted, and what ps lists");
  outside.Show(List());
  const Evidence before = outside.Show(Look());

  lesson.Begin(
      "Control: without CLONE_NEWNS a child mounts for its parent");
  lesson.Note(
      "The outer process plays a host whose mounts systemd shared.");
  Child outer(Outer);
  Clone(outside, outer, CLONE_NEWNS | SIGCHLD);
  // Did the child's mount go out, and its parent's come in? Hear() passes
  // on what a process tells, up to and with its next evidence.
  std::string received;  // What the child has where its parent mounted.
  const auto hear = [&](const std::string& point) {
    outside.Hear(outer);
    const Evidence child = outside.Hear(outer);
    const Evidence parent = outside.Hear(outer);
    received = child.Value("/mnt/outer");
    return std::pair(child.Value(point) == parent.Value(point),
                     received == parent.Value("/mnt/outer"));
  };
  const auto control = hear("/mnt/child");

  lesson.Begin(
      "The accident: CLONE_NEWNS, and the parent still has the mount");
  const auto shared = hear("/mnt/shared");
  lesson.Predict(
      "Next, a child makes its mounts private (MS_PRIVATE). Then its "
      "parent mounts a tmpfs on /mnt/outer. What has the child there?",
      {"tmpfs", "no mount"});

  lesson.Begin("The remedy: MS_PRIVATE; or MS_SLAVE, which only receives");
  const auto isolated = hear("/mnt/private");
  lesson.Answer(received,
                "A private mount passes nothing on, and receives nothing.");
  const auto slave = hear("/mnt/slave");
  outer.Finish();

  lesson.Begin(
      "Inside: with CLONE_NEWNS and MS_PRIVATE it mounts for itself");
  Child child(Inside);
  Clone(outside, child, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD);
  const Evidence old_proc = outside.Hear(child);
  outside.Hear(child);
  const Evidence inside = outside.Hear(child);
  const Outcome new_proc = lesson.Attempt([&] {
    const int refusal = std::stoi(child.Receive().value());
    if (refusal != 0) throw CallError(refusal, kMountProc);
    return ProcessesIn(fmt::format("/proc/{}/root/proc", child.pid()))
               .size() == 1;
  });

  lesson.Begin("Outside again, with the mounts inside still there");
  outside.Show(List());
  const Evidence after = outside.Show(Look());
  lesson.Compare(before, inside, after);

  lesson.Claim("Without CLONE_NEWNS, a child's new mount is its parent's.",
               control == std::pair(true, true));
  lesson.Claim(
      "With it, a shared mount still passes on new ones, both ways.",
      shared == std::pair(true, true));
  lesson.Claim("After MS_REC | MS_PRIVATE, it passes on none.",
               isolated == std::pair(false, false));
  lesson.Claim(
      "After MS_REC | MS_SLAVE, new ones come in and do not go out.",
      slave == std::pair(false, true));
  lesson.Claim(
      "In another namespace, a tmpfs is mounted inside, not outside.",
      inside.Value("namespace") != after.Value("namespace") &&
          inside.Value("/mnt") != after.Value("/mnt"));
  lesson.Claim("In a new PID namespace alone, /proc shows the outside.",
               old_proc.Value("own PID") != "1");
  lesson.Claim("A proc of its own lists the inside and nothing else.",
               new_proc);
  lesson.Claim("Outside, /mnt and /proc are what they were.",
               after.Value("/mnt") == before.Value("/mnt") &&
                   after.Value("/proc") == before.Value("/proc"));
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {.name = "mount",
       .title = "Mount namespace: a mount table of one's own",
       .man_page = "mount_namespaces(7)"},
      steps::Teach);
}
