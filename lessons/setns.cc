// setns: join a namespace that exists.                                setns(2)
//
// A child is in namespaces of its own and stays there; others join them, by the
// links in /proc/PID/ns, by a descriptor of the process, and by a bind mount
// when there is no process any more. The lesson claims:
//
//   1. A child that does not join keeps the old name and namespace.
//   2. setns(2) moves its caller: it has the name and the namespace inside.
//   3. Outside, nothing changes.
//   4. Another kind than nstype says is refused (EINVAL), and so is a
//      descriptor that is no namespace; nstype 0 takes any kind.
//   5. A pidfd joins several kinds in one call.
//   6. Joining a PID namespace moves the children, not the caller.
//   7. An open descriptor keeps a namespace alive with no process in it, and so
//      does a bind mount.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:setns                                the lesson
//   bazel run //lessons:setns -- --shell                     and a shell inside
//   bazel run //lessons:setns -- /proc/PID/ns/KIND [COMMAND…]
//       joins what the reader names, as lessons/setns_join.cc has it
//   bazel run //lessons:setns -- --help                      all options

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
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

// What a child in no new namespace tells: so many pieces of evidence.
std::vector<Evidence> HearChild(Side& parent, const Child::Body& body,
                                std::size_t count = 1) {
  std::vector<Evidence> told;
  Child child(body);
  child.Fork();
  while (told.size() < count) told.push_back(parent.Hear(child));
  child.Finish();
  return told;
}

Descriptor OpenLink(Side& side, const std::string& path) {
  Descriptor link(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  side.Check(link.get(), "open(\"{}\", O_RDONLY)", path);
  return link;
}

// Whoever is inside: gives its UTS namespace a name, and stays.
void Hold(Line& line, const std::string& name) {
  Side inside("inside", line);
  const int result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());
  inside.Show(Ask());
  line.Checkpoint();
}

// The control: the same child without setns(2).
void Stay(Line& line, const std::string& name) { Side(name, line).Show(Ask()); }

// The experiment.
void Join(Line& line, const std::string& path) {
  Side joiner("joiner", line);
  const Descriptor uts = OpenLink(joiner, path);
  const int result = setns(uts.get(), CLONE_NEWUTS);
  joiner.Check(result, "setns({}, {})", uts.get(), CloneFlags(CLONE_NEWUTS));
  joiner.Show(Ask());
}

// A pidfd stands for all the namespaces of its process.
void JoinTwo(Line& line, pid_t pid) {
  Side joiner("joiner", line);
  // Through syscall(2): glibc 2.36 declares pidfd_open() for C only.
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  joiner.Check(process.get(), "pidfd_open({}, 0)", pid);
  const int kinds = CLONE_NEWUTS | CLONE_NEWPID;
  const int result = setns(process.get(), kinds);
  joiner.Check(result, "setns({}, {})", process.get(), CloneFlags(kinds));
  joiner.Show(Ask());
  HearChild(joiner, [](Line& to_parent) { Stay(to_parent, "child"); });
}

// A namespace with no process in it: first a bind mount keeps it, and when that
// is gone a descriptor. All in a mount namespace that is thrown away.
void Outlive(Line& line, const std::string& name) {
  Side keeper("keeper", line);
  int result = unshare(CLONE_NEWNS);
  keeper.Check(result, "unshare({})", CloneFlags(CLONE_NEWNS));
  result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  keeper.Check(result,
               "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");

  const int flags = CLONE_NEWUTS | SIGCHLD;
  Child holder([&](Line& to_parent) { Hold(to_parent, name); });
  const pid_t pid = clone(Child::Main, holder.stack_top(), flags, &holder);
  keeper.Check(holder.Started(pid), "clone({})", CloneFlags(flags));
  keeper.Hear(holder);
  const std::string link = fmt::format("/proc/{}/ns/uts", pid);
  result = mount(link.c_str(), "/dev/null", nullptr, MS_BIND, nullptr);
  keeper.Check(result, "mount(\"{}\", \"/dev/null\", NULL, MS_BIND, NULL)",
               link);
  holder.Finish();
  keeper.Try(kill(pid, 0), "kill({}, 0)", pid);

  const Descriptor uts = OpenLink(keeper, "/dev/null");
  // Lazily: the open file keeps its mount busy.
  result = umount2("/dev/null", MNT_DETACH);
  keeper.Check(result, "umount2(\"/dev/null\", MNT_DETACH)");
  result = setns(uts.get(), 0);
  keeper.Check(result, "setns({}, 0)", uts.get());
  keeper.Show(Ask());
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the name of this machine");
  const Evidence before = outside.Show(Ask());
  // A new name, even where this is a shell that another lesson has named so.
  const std::string old = before.Value("hostname");
  const std::string name =
      old == "container_001" ? "container_002" : "container_001";

  lesson.Begin("Inside: a child in two namespaces of its own, where it stays");
  const int flags = CLONE_NEWUTS | CLONE_NEWPID | SIGCHLD;
  Child holder([&](Line& line) { Hold(line, name); });
  const pid_t pid = clone(Child::Main, holder.stack_top(), flags, &holder);
  outside.Check(holder.Started(pid), "clone({})", CloneFlags(flags));
  const Evidence inside = outside.Hear(holder);

  lesson.Begin("Control: another child does not join, and is outside");
  const Evidence control =
      HearChild(outside, [](Line& line) { Stay(line, "control"); })[0];

  lesson.Begin("Joining: the same child with setns is inside");
  const std::string path = fmt::format("/proc/{}/ns/uts", pid);
  const Evidence joined =
      HearChild(outside, [&](Line& line) { Join(line, path); })[0];

  lesson.Begin("What setns refuses: another kind, and what is no namespace");
  const Descriptor uts = OpenLink(outside, path);
  int result = setns(uts.get(), CLONE_NEWIPC);
  const int other_kind =
      outside.Try(result, "setns({}, {})", uts.get(), CloneFlags(CLONE_NEWIPC));
  const Descriptor null = OpenLink(outside, "/dev/null");
  result = setns(null.get(), 0);
  const int no_namespace = outside.Try(result, "setns({}, 0)", null.get());

  lesson.Begin("A pidfd joins several kinds; a PID namespace takes children");
  const std::vector<Evidence> moved = HearChild(
      outside, [&](Line& line) { JoinTwo(line, pid); }, 2);

  lesson.Begin("With no process in it, something else keeps a namespace");
  const Outcome outlives = lesson.Attempt([&] {
    const std::vector<Evidence> kept = HearChild(
        outside, [&](Line& line) { Outlive(line, name); }, 2);
    return kept[1].Value("hostname") == name &&
           kept[1].Value("UTS") == kept[0].Value("UTS");
  });

  lesson.Begin("Outside again, with the first child still inside");
  const Evidence after = outside.Show(Ask());
  lesson.Compare(before, joined, after);

  const std::string& there = inside.Value("UTS");
  lesson.Claim("A child that does not join keeps the old name and namespace.",
               control.AllSay("hostname", old) &&
                   control.Value("UTS") == before.Value("UTS") &&
                   there != before.Value("UTS"));
  lesson.Claim(
      "setns(2) moves its caller to the name and namespace inside.",
      joined.Value("hostname") == name && joined.Value("UTS") == there);
  lesson.Claim("Outside, the name and the namespaces are as before.",
               after.Value("hostname") == old &&
                   after.Value("UTS") == before.Value("UTS"));
  lesson.Claim("Another kind than nstype says, and no namespace, are EINVAL.",
               other_kind == EINVAL && no_namespace == EINVAL);
  lesson.Claim("A pidfd joins several kinds in one call.",
               moved[1].Value("UTS") == there &&
                   moved[1].Value("PID") == inside.Value("PID"));
  lesson.Claim("Joining a PID namespace moves the children, not the caller.",
               moved[0].Value("PID") == before.Value("PID") &&
                   moved[1].Value("PID") == inside.Value("PID"));
  lesson.Claim(
      "With no process in it, a bind mount or an open descriptor keeps a "
      "namespace; nstype 0 joins any kind.",
      outlives);
  lesson.Keep(std::move(holder));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  const steps::Task join = {.words = "PATH",
                            .help = "join that namespace",
                            .example = "/proc/4242/ns/uts",
                            .runs_command = true,
                            .run = steps::JoinAndRun};
  return steps::RunLesson(argc, argv,
                          {.name = "setns",
                           .title = "setns: join a namespace that exists",
                           .man_page = "setns(2)"},
                          steps::Teach, join);
}
