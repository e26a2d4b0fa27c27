// leaks: what no namespace hides.                             namespaces(7)
//
// A child gets a new namespace of every kind, and then looks for the
// machine that it is on. The lesson claims:
//
//   1. Without a flag, a child shares every namespace.
//   2. With all flags it shares none, is PID 1 and has its own hostname.
//   3. Kernel, CPUs, memory and threads-max are still the machine's.
//   4. So are the load and CLOCK_REALTIME, which gives the date.
//   5. A file in /dev/shm and a socket with a path get through.
//   6. What the child mounts over them hides them: ENOENT.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:leaks                the lesson
//   bazel run //lessons:leaks -- --shell     and a shell inside
//   bazel run //lessons:leaks -- --help      all options

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/datagram.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

constexpr const char* kFile = "/dev/shm/file";
constexpr const char* kSocket = "/dev/shm/socket";

// The probes that are about the machine itself.
constexpr std::array kMachine = {"kernel", "CPUs", "memory", "threads"};

// The evidence: who a process is, and which machine it is on.
Evidence Ask() {
  utsname names = {};
  Check(uname(&names), "uname()");
  Finding memory = FromField("MemTotal", "/proc/meminfo");
  memory.probe = "memory";
  return {{"host", names.nodename, "uname(2)"},
          {"PID", fmt::to_string(getpid()), "getpid(2)"},
          {"kernel", names.release, "uname(2)"},
          {"CPUs", fmt::to_string(sysconf(_SC_NPROCESSORS_ONLN)),
           "sysconf(_SC_NPROCESSORS_ONLN)"},
          memory,
          FromFile("threads", "/proc/sys/kernel/threads-max")};
}

// The evidence that changes by itself: to be read outside before and after
// it is read inside.
Evidence AskNow() {
  timespec now = {};
  Check(clock_gettime(CLOCK_REALTIME, &now), "clock_gettime()");
  const std::string load = ReadFile("/proc/loadavg");
  return {{"load", load.substr(0, load.find(' ')), "/proc/loadavg"},
          {"realtime", fmt::format("{:%F %T}", fmt::gmtime(now.tv_sec)),
           "clock_gettime(CLOCK_REALTIME)"}};
}

// What `attempt` gives, or the errno with which it is refused.
std::string OrErrno(const std::function<std::string()>& attempt) {
  try {
    return attempt();
  } catch (const CallError& error) {
    return ErrnoName(error.error());
  }
}

// The evidence: whether a process reaches what another made in /dev/shm.
Evidence Reach() {
  return {{"file", OrErrno([] { return ReadFile(kFile); }), kFile},
          {"socket", OrErrno([] {
             SendTo(kSocket, "from inside");
             return "sent";
           }),
           kSocket}};
}

Evidence Together(const Evidence& links, const Evidence& facts) {
  std::vector<Finding> all = links.findings();
  all.insert(all.end(), facts.findings().begin(), facts.findings().end());
  return Evidence(std::move(all));
}

void MountOnShm(Side& side) {
  const int result = mount("tmpfs", "/dev/shm", "tmpfs", 0, nullptr);
  side.Check(result, "mount(\"tmpfs\", \"/dev/shm\", \"tmpfs\", 0, NULL)");
}

void Inside(Line& line, const Ids& ids, const std::string& name) {
  MapToRoot(ids);
  Side inside("inside", line);
  const int result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());
  inside.Show(Ask());
  line.Checkpoint();

  const Evidence now = AskNow();
  line.Send("asked");
  line.Checkpoint();
  inside.Show(now);
  line.Checkpoint();

  inside.Show(Reach());
  line.Checkpoint();

  MountOnShm(inside);
  inside.Show(Reach());
  // For --shell, whose orphans come to PID 1: the kernel reaps the children
  // of a process that ignores SIGCHLD.
  std::signal(SIGCHLD, SIG_IGN);
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: this machine");
  lesson.Note(
      "What the lesson puts into /dev/shm is on a mount that ends with "
      "it.");
  int result = unshare(CLONE_NEWNS);
  outside.Check(result, "unshare(CLONE_NEWNS)");
  result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  outside.Check(result,
                "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");
  MountOnShm(outside);
  WriteAll(Open(kFile, O_WRONLY | O_CREAT, 0600).get(), "from outside");
  const Descriptor socket = ReceiveAt(kSocket);
  const std::map<int, NamespaceId> home = NamespacesOf(getpid());
  const Evidence before = outside.Show(Ask());
  const Evidence links = FromLinks("self");

  lesson.Begin("Control: without a flag a child shares every namespace");
  Child control([](Line& line) {
    Side("child", line).Show(Ask());
    line.Checkpoint();
  });
  pid_t pid = clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(pid), "clone(SIGCHLD)");
  outside.Hear(control);
  const int none = Difference(home, NamespacesOf(pid));
  control.Finish();

  lesson.Begin("Inside: with all flags, and still on the same machine");
  int kinds = 0;  // All that this kernel has.
  for (const auto& [flag, id] : home) kinds |= flag;
  // A new name, even where this is the shell of another run of this lesson.
  const bool taken = before.Value("host") == "container_001";
  const std::string name = taken ? "container_002" : "container_001";
  Child child(
      [&, ids = Ids::OfCaller()](Line& line) { Inside(line, ids, name); });
  // As in the lesson clone: a call that takes all eight flags, and that
  // works like fork(2).
  clone_args args = {};
  args.flags = static_cast<unsigned>(kinds);
  args.exit_signal = SIGCHLD;
  pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) Child::Main(&child);  // It never comes back.
  outside.Check(child.Started(pid),
                "clone3({{flags={}, exit_signal=SIGCHLD}}, {})",
                CloneFlags(kinds), sizeof args);
  const Evidence inside = outside.Hear(child);
  const Evidence inside_links = FromLinks(fmt::to_string(pid));

  lesson.Begin("The load and the date, inside and outside at once");
  // Nothing is shown meanwhile: the reader may take a minute to read it.
  const Evidence earlier = AskNow();
  child.Release();
  child.Receive();
  const Evidence later = AskNow();
  outside.Show(earlier);
  child.Release();
  const Evidence now = outside.Hear(child);
  outside.Show(later);

  lesson.Predict(
      "Outside, a process has made a file in /dev/shm. The child is in a "
      "mount namespace of its own. What does it read in that file?",
      {"from outside", "ENOENT"});

  lesson.Begin("A file, and a socket with a path");
  child.Release();
  const Evidence reached = outside.Hear(child);
  const std::string word = Receive(socket);
  outside.Show({{"socket", word, kSocket}});
  lesson.Answer(reached.Value("file"),
                "A new mount namespace begins with the mounts of the old.");

  lesson.Begin("What hides them: another mount in their place");
  child.Release();
  const Evidence hidden = outside.Hear(child);

  lesson.Begin("Outside again: the same machine");
  const Evidence after = outside.Show(Ask());
  lesson.Compare(Together(links, before), Together(inside_links, inside),
                 Together(FromLinks("self"), after));

  lesson.Claim("Without a flag, a child shares every namespace.",
               none == 0);
  lesson.Claim(
      "With all flags it shares none, is PID 1 and has its own hostname.",
      Difference(home, NamespacesOf(pid)) == kinds &&
          inside.Value("PID") == "1" && inside.Value("host") == name &&
          after.Value("host") == before.Value("host"));
  lesson.Claim(
      "Kernel, CPUs, memory and threads-max are still the machine's.",
      std::ranges::all_of(kMachine, [&](const char* probe) {
        return inside.Value(probe) == before.Value(probe);
      }));
  // The load changes every five seconds. As text, dates of this form sort
  // by time.
  lesson.Claim("So are the load and CLOCK_REALTIME, which gives the date.",
               (now.Value("load") == earlier.Value("load") ||
                now.Value("load") == later.Value("load")) &&
                   earlier.Value("realtime") <= now.Value("realtime") &&
                   now.Value("realtime") <= later.Value("realtime"));
  lesson.Claim(
      "A file in /dev/shm and a socket with a path get through.",
      reached.Value("file") == "from outside" && word == "from inside");
  lesson.Claim("What the child mounts over them hides them: ENOENT.",
               hidden.Value("file") == "ENOENT" &&
                   hidden.Value("socket") == "ENOENT");
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "leaks",
                           .title = "leaks: what no namespace hides",
                           .man_page = "namespaces(7)"},
                          steps::Teach);
}
