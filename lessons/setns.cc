// setns: join a namespace that exists.                             setns(2)
//
// A child stays in a UTS and a PID namespace of its own; others join them
// by the links in its /proc/PID/ns and by a pidfd. The lesson claims:
//
//   1. A child that does not join is outside, under the old name.
//   2. setns(2) moves its caller inside, under the new name.
//   3. Outside, nothing has changed.
//   4. nstype 0 takes any kind; a wrong one, or no namespace, is EINVAL.
//   5. A pidfd joins several kinds in one call.
//   6. Joining a PID namespace moves the children, not the caller.
//   7. A bind mount or descriptor keeps a namespace with no process.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:setns                the lesson
//   bazel run //lessons:setns -- --shell     and a shell inside
//   bazel run //lessons:setns -- --help      all options
//
// It is a tool, too, which lessons/setns_join.cc has:
//
//   bazel run //lessons:setns -- /proc/4242/ns/uts [COMMAND…]

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "lessons/setns_join.h"

namespace steps {
namespace {

// The evidence: a name, and two of the namespaces that this process is in.
Evidence Ask() {
  utsname names = {};
  Check(uname(&names), "uname()");
  return {{"hostname", names.nodename, "uname(2)"},
          FromLink("UTS", "/proc/self/ns/uts"),
          FromLink("PID", "/proc/self/ns/pid")};
}

// Whether both are in one UTS namespace, and know its name.
bool Same(const Evidence& one, const Evidence& other) {
  return one.Value("UTS") == other.Value("UTS") &&
         one.Value("hostname") == other.Value("hostname");
}

// Has a child, in no new namespace, do `act`, and gives what is found
// there: by `count` processes, the child last.
std::vector<Evidence> InChild(Side& parent, const std::string& name,
                              const std::function<void(Side&)>& act,
                              int count = 1) {
  Child child([&](Line& line) {
    Side side(name, line);
    act(side);
    side.Show(Ask());
  });
  child.Fork();
  std::vector<Evidence> found;
  for (; count > 0; --count) found.push_back(parent.Hear(child));
  child.Finish();
  return found;
}

// Whoever is inside: gives its UTS namespace a name, and stays.
void Hold(Line& line, const std::string& name) {
  Side inside("inside", line);
  const int result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());
  inside.Show(Ask());
  line.Checkpoint();
}

Descriptor OpenLink(Side& side, const std::string& path) {
  Descriptor link(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  side.Check(link.get(), "open(\"{}\", O_RDONLY)", path);
  return link;
}

// The experiment. `nstype` says of which kind the link must be; 0: of any.
void Join(Side& joiner, const std::string& path, int nstype) {
  const Descriptor uts = OpenLink(joiner, path);
  const int result = setns(uts.get(), nstype);
  joiner.Check(result, "setns({}, {})", uts.get(),
               nstype == 0 ? "0" : CloneFlags(nstype));
}

// A pidfd stands for all the namespaces of its process.
void JoinTwo(Side& joiner, pid_t pid) {
  // Through syscall(2): glibc 2.36 declares pidfd_open() for C only.
  const Descriptor pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  joiner.Check(pidfd.get(), "pidfd_open({}, 0)", pid);
  const int result = setns(pidfd.get(), CLONE_NEWUTS | CLONE_NEWPID);
  joiner.Check(result, "setns({}, CLONE_NEWUTS | CLONE_NEWPID)",
               pidfd.get());
  InChild(joiner, "child", [](Side&) {});
}

// A namespace with no process in it is kept by a bind mount, and when that
// is gone by a descriptor. All in a mount namespace that is thrown away.
void Outlive(Side& keeper, const std::string& name) {
  int result = unshare(CLONE_NEWNS);
  keeper.Check(result, "unshare({})", CloneFlags(CLONE_NEWNS));
  result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  keeper.Check(result,
               "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");

  const int flags = CLONE_NEWUTS | SIGCHLD;
  Child holder([&](Line& line) { Hold(line, name); });
  const pid_t pid = clone(Child::Main, holder.stack_top(), flags, &holder);
  keeper.Check(holder.Started(pid), "clone({})", CloneFlags(flags));
  keeper.Hear(holder);
  const std::string path = fmt::format("/proc/{}/ns/uts", pid);
  result = mount(path.c_str(), "/dev/tty", nullptr, MS_BIND, nullptr);
  keeper.Check(result, "mount(\"{}\", \"/dev/tty\", NULL, MS_BIND, NULL)",
               path);
  holder.Finish();
  keeper.Try(kill(pid, 0), "kill({}, 0)", pid);

  const Descriptor uts = OpenLink(keeper, "/dev/tty");
  // Lazily: the open file keeps its mount busy.
  result = umount2("/dev/tty", MNT_DETACH);
  keeper.Check(result, "umount2(\"/dev/tty\", MNT_DETACH)");
  result = setns(uts.get(), CLONE_NEWUTS);
  keeper.Check(result, "setns({}, CLONE_NEWUTS)", uts.get());
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the name of this machine");
  const Evidence before = outside.Show(Ask());
  // A new name, even where this is the shell of another run of this lesson.
  const bool taken = before.Value("hostname") == "container_001";
  const std::string name = taken ? "container_002" : "container_001";

  lesson.Begin("Inside: a child stays in two namespaces of its own");
  const int flags = CLONE_NEWUTS | CLONE_NEWPID | SIGCHLD;
  Child holder([&](Line& line) { Hold(line, name); });
  const pid_t pid = clone(Child::Main, holder.stack_top(), flags, &holder);
  outside.Check(holder.Started(pid), "clone({})", CloneFlags(flags));
  const Evidence inside = outside.Hear(holder);

  lesson.Begin("Control: another child does not join, and is outside");
  const Evidence control = InChild(outside, "control", [](Side&) {})[0];

  lesson.Begin("With setns such a child is inside");
  const std::string path = fmt::format("/proc/{}/ns/uts", pid);
  const auto join = [&path](Side& side) { Join(side, path, CLONE_NEWUTS); };
  const Evidence joined = InChild(outside, "joiner", join)[0];

  lesson.Begin(
      "nstype is a check: 0 takes any kind, a wrong one is refused");
  const auto join_any = [&path](Side& side) { Join(side, path, 0); };
  const Evidence any = InChild(outside, "joiner", join_any)[0];
  const Descriptor uts = OpenLink(outside, path);
  int result = setns(uts.get(), CLONE_NEWIPC);
  const int other =
      outside.Try(result, "setns({}, CLONE_NEWIPC)", uts.get());
  const Descriptor null = OpenLink(outside, "/dev/null");
  result = setns(null.get(), 0);
  const int none = outside.Try(result, "setns({}, 0)", null.get());
  lesson.Predict(
      fmt::format("Next, a process joins the UTS and the PID namespace of "
                  "the child inside, {}. Where does its own link "
                  "/proc/self/ns/pid lead then?",
                  inside.Value("PID")),
      {inside.Value("PID"), before.Value("PID")});

  lesson.Begin(
      "A pidfd joins several kinds; a PID namespace takes children");
  const auto join_two = [pid](Side& side) { JoinTwo(side, pid); };
  const auto moved = InChild(outside, "joiner", join_two, 2);
  lesson.Answer(moved[1].Value("PID"),
                "A process never leaves its PID namespace: only its next "
                "children are in the one that it joins.");

  lesson.Begin(
      "A bind mount or descriptor keeps a namespace with no process");
  const Outcome outlives = lesson.Attempt([&] {
    const auto outlive = [&](Side& side) { Outlive(side, name); };
    const auto kept = InChild(outside, "keeper", outlive, 2);
    return kept[0].Value("hostname") == name && Same(kept[0], kept[1]);
  });

  lesson.Begin("Outside again, with the first child still inside");
  const Evidence after = outside.Show(Ask());
  lesson.Compare(before, joined, after);

  lesson.Claim("A child that does not join is outside, under the old name.",
               Same(control, before) && !Same(inside, before));
  lesson.Claim("setns(2) moves its caller inside, under the new name.",
               Same(joined, inside) && inside.Value("hostname") == name);
  lesson.Claim("Outside, nothing has changed.", Same(after, before));
  lesson.Claim(
      "nstype 0 takes any kind; a wrong one, or no namespace, is EINVAL.",
      Same(any, inside) && other == EINVAL && none == EINVAL);
  const std::string& there = inside.Value("PID");
  lesson.Claim("A pidfd joins several kinds in one call.",
               Same(moved[0], inside) && moved[0].Value("PID") == there);
  lesson.Claim(
      "Joining a PID namespace moves the children, not the caller.",
      moved[0].Value("PID") == there && moved[1].Value("PID") != there);
  lesson.Claim(
      "A bind mount or descriptor keeps a namespace with no process.",
      outlives);
  lesson.Keep(std::move(holder));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "setns",
                           .title = "setns: join a namespace that exists",
                           .man_page = "setns(2)"},
                          steps::Teach, steps::JoinTask());
}
