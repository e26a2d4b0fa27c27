// Cgroup namespace: a root of one's own.               cgroup_namespaces(7)
//
// A child of this process is moved into a cgroup, two levels below that of
// another process. It reads the paths of both, before and after it makes a
// cgroup namespace. Then it forks, under a limit that was set outside. The
// lesson claims:
//
//   1. Without CLONE_NEWCGROUP, a child reads the paths that its parent
//      reads.
//   2. With it, the same process is in another cgroup namespace.
//   3. Inside, the cgroup in which it was is the root: "/".
//   4. Inside, the path of a process above that root begins with "/..".
//   5. Outside, all paths are the same before and after.
//   6. A limit that was set outside holds inside (EAGAIN).
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace. To
// make cgroups: root, or a cgroup that is delegated to the user. Without,
// the child stays in the cgroup in which it is, and the last claim is
// skipped.
//
//   bazel run //lessons:cgroup                the lesson
//   bazel run //lessons:cgroup -- --shell     and a shell inside
//   bazel run //lessons:cgroup -- --help      all options

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/cgroups.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

// Which hierarchy of cgroups to look at, and what to leave out: the path of
// the cgroup in which the lesson makes its own. It is the machine's.
struct View {
  std::string controllers;
  std::string left_out;
};

// A process's path, as this process reads it.
Finding FromCgroup(const View& view, const std::string& probe, pid_t pid) {
  std::string path = CgroupOf(pid, view.controllers);
  if (!view.left_out.empty() && path.starts_with(view.left_out + "/")) {
    path.replace(0, view.left_out.size(), "…");
  }
  return {probe, path, fmt::format("/proc/{}/cgroup", pid)};
}

// The evidence: the paths of two processes, the same two on every side.
Evidence Look(const View& view, pid_t upper, pid_t lower) {
  return {FromCgroup(view, "upper", upper),
          FromCgroup(view, "lower", lower),
          FromLink("ns", "/proc/self/ns/cgroup")};
}

// Writes to a file of a cgroup, which is what commands one.
void Write(Side& side, int folder, const std::string& file,
           const std::string& text) {
  const Descriptor fd(openat(folder, file.c_str(), O_WRONLY | O_CLOEXEC));
  side.Check(fd.get(), "openat({}, \"{}\", O_WRONLY)", folder, file);
  const ssize_t written = write(fd.get(), text.data(), text.size());
  side.Check(written, "write({}, \"{}\", {})", fd.get(), text, text.size());
}

// The process above: in the lesson's cgroup, not in one below it. 0 is
// whoever writes.
void Upper(Line& line, int folder, const View& view) {
  Side side("upper", line);
  Write(side, folder, "cgroup.procs", "0");
  side.Show({FromCgroup(view, "upper", getpid())});
  line.Checkpoint();
}

void Fork(Side& side) {
  Child child([](Line&) {});
  const pid_t pid = clone(Child::Main, child.stack_top(), SIGCHLD, &child);
  const int refusal = side.Try(child.Started(pid), "clone(SIGCHLD)");
  if (refusal == 0) child.Finish();
  side.Show({{"errno", ErrnoName(refusal), "clone(2)"}});
}

// The control and the experiment, in one process. Without a group, the
// lesson could make no cgroup.
void Inside(Line& line, const std::optional<Cgroup>& group,
            const View& view, pid_t upper) {
  Side child("child", line);
  if (group) Write(child, group->folder(), "a/b/cgroup.procs", "0");
  child.Show(Look(view, upper, getpid()));
  line.Checkpoint();

  Side inside("inside", line);
  const int result = unshare(CLONE_NEWCGROUP);
  inside.Check(result, "unshare({})", CloneFlags(CLONE_NEWCGROUP));
  inside.Show(Look(view, upper, getpid()));
  line.Checkpoint();
  if (!group) return;

  Fork(inside);
  line.Checkpoint();
  Fork(inside);
  line.Checkpoint();
}

// The cgroups that the lesson has made at `place`.
View ViewOf(const CgroupPlace& place) {
  return {place.controllers, place.cgroup == "/" ? "" : place.cgroup};
}

// Where it could make none: the hierarchy in which this process is not in
// the root already, if there is one.
View ViewAsItIs() {
  View view;
  for (const Membership& membership : MembershipsOf(getpid())) {
    view.controllers = membership.controllers;
    if (membership.cgroup != "/") break;
  }
  return view;
}

bool Agree(const Evidence& one, const Evidence& other) {
  return one.Value("upper") == other.Value("upper") &&
         one.Value("lower") == other.Value("lower") &&
         one.Value("ns") == other.Value("ns");
}

// Makes the lesson's cgroup in `group`, which has to last as long as the
// child that is kept in it.
void Teach(Lesson& lesson, std::optional<Cgroup>& group) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: a process has a path in the tree of cgroups");
  std::optional<Child> holder;
  Outcome limit = {std::nullopt, "No cgroup here has children with pids."};
  const std::optional<CgroupPlace> place = FindCgroupPlace("pids");
  if (place) {
    limit = lesson.Attempt([&] {
      group.emplace(*place, std::vector<std::string>{"a", "a/b"});
      holder.emplace([&](Line& line) {
        Upper(line, group->folder(), ViewOf(*place));
      });
      const pid_t pid =
          clone(Child::Main, holder->stack_top(), SIGCHLD, &*holder);
      outside.Check(holder->Started(pid), "clone(SIGCHLD)");
      outside.Hear(*holder);
      return true;
    });
  }
  if (!limit.holds) {
    group.reset();
    lesson.Note(
        "No cgroup can be made here: both processes stay where they are.");
  }
  const View view = group ? ViewOf(*place) : ViewAsItIs();
  // PID 1; this process where /proc hides that one from the user: hidepid.
  const pid_t init = access("/proc/1/cgroup", R_OK) == 0 ? 1 : getpid();
  const pid_t upper = group ? holder->pid() : init;
  outside.Show({FromCgroup(view, "upper", upper),
                FromLink("ns", "/proc/self/ns/cgroup")});

  lesson.Begin("Control: without CLONE_NEWCGROUP a child reads the same");
  Child child([&](Line& line) { Inside(line, group, view, upper); });
  const pid_t pid = clone(Child::Main, child.stack_top(), SIGCHLD, &child);
  outside.Check(child.Started(pid), "clone(SIGCHLD)");
  const Evidence control = outside.Hear(child);
  const Evidence before = outside.Show(Look(view, upper, pid));
  const std::string& path = before.Value("lower");

  lesson.Predict(
      "Next, the child makes a cgroup namespace, and stays in its cgroup. "
      "Which path does it read for itself after that?",
      {path, path == "/" ? "/.." : "/"});
  lesson.Begin("Inside: with CLONE_NEWCGROUP its cgroup is the root");
  child.Release();
  const Evidence inside = outside.Hear(child);
  lesson.Answer(inside.Value("lower"),
                "A cgroup namespace begins where its maker is.");

  lesson.Begin("A limit that was set outside holds inside");
  if (group) {
    lesson.Note("The limit is for both processes and all their children.");
    Write(outside, group->folder(), "pids.max", "2");
    child.Release();
    const std::string refused = outside.Hear(child).Value("errno");
    Write(outside, group->folder(), "pids.max", "3");
    child.Release();
    const std::string allowed = outside.Hear(child).Value("errno");
    limit.holds = refused == "EAGAIN" && allowed == "0";
  } else {
    lesson.Note("Without a cgroup of its own the lesson can set none.");
  }

  lesson.Begin("Outside again, with the child still inside");
  const Evidence after = outside.Show(Look(view, upper, pid));
  lesson.Compare(before, inside, after);

  lesson.Claim(
      "Without CLONE_NEWCGROUP, a child reads the paths that its parent "
      "reads.",
      Agree(control, before));
  lesson.Claim("With it, the same process is in another cgroup namespace.",
               inside.Value("ns") != control.Value("ns"));
  Outcome root = {inside.Value("lower") == "/", ""};
  if (path == "/") root = {std::nullopt, "It was in the root before."};
  lesson.Claim("Inside, the cgroup in which it was is the root: \"/\".",
               root);
  Outcome up = {inside.Value("upper").starts_with("/.."), ""};
  if (before.Value("upper") == path) {
    up = {std::nullopt, "No process is seen in another cgroup."};
  }
  lesson.Claim(
      "Inside, the path of a process above that root begins with \"/..\".",
      up);
  lesson.Claim("Outside, all paths are the same before and after.",
               Agree(before, after));
  lesson.Claim("A limit that was set outside holds inside (EAGAIN).",
               limit);

  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  std::optional<steps::Cgroup> group;
  return steps::RunLesson(
      argc, argv,
      {.name = "cgroup",
       .title = "Cgroup namespace: a root of one's own",
       .man_page = "cgroup_namespaces(7)"},
      [&](steps::Lesson& lesson) { steps::Teach(lesson, group); });
}
