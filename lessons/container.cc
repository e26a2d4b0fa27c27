// container: all of it together.                              namespaces(7)
//
// A process gets namespaces of every kind at once, a root of its own, a
// link to a gateway, limits, and an init: a small container, as engines
// make them. Its parts are in container_root.cc and container_build.cc. The
// lesson claims:
//
//   1. Without flags, a child sees what its parent sees.
//   2. In a container every namespace is another, but that of the user.
//   3. What is written to /usr inside is not outside.
//   4. Its loopback works, and a gateway sees its address.
//   5. The limit on its processes holds (EAGAIN).
//   6. It has no more capabilities than engines leave, and can get no new
//      ones.
//   7. So even root inside may not rename it (EPERM).
//   8. Its PID 1 adopts an orphan, and reaps it.
//   9. Its PID 1 passes on a signal to the command.
//  10. Outside, nothing has changed.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace. To
// set limits: root, or a cgroup that is delegated to the user. Without, 5
// is skipped; 4 is where the kernel has no veth, 3 where it refuses an
// overlay.
//
//   bazel run //lessons:container                the lesson
//   bazel run //lessons:container -- --shell     and a shell inside
//   bazel run //lessons:container -- --help      all options
//
// It is a tool, too, which lessons/container_run.cc has:
//
//   bazel run //lessons:container -- [--rootfs DIR] COMMAND…

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/interfaces.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "common/tcp.h"
#include "lessons/container_build.h"
#include "lessons/container_run.h"

namespace steps {
namespace {

constexpr const char* kFile = "/usr/written_inside";

// The evidence: what a process sees of the machine that it is on.
Evidence Look() {
  utsname names = {};
  Check(uname(&names), "uname()");
  struct stat root = {};
  Check(stat("/", &root), "stat(\"/\")");
  const bool written = access(kFile, F_OK) == 0;
  return {{"hostname", names.nodename, "uname(2)"},
          {"root",
           fmt::format("{}:{}, inode {}", major(root.st_dev),
                       minor(root.st_dev), root.st_ino),
           "stat(2)"},
          {"interfaces", fmt::format("{} in all", Interfaces().size()),
           "getifaddrs(3)"},
          FromBoundingSet(),
          FromEffectiveSet(),
          FromNoNewPrivileges(),
          {"new file", written ? "there" : "absent",
           fmt::format("access(\"{}\")", kFile)}};
}

// Whether both see the same machine: it may get another interface
// meanwhile.
bool Same(const Evidence& one, const Evidence& other) {
  return std::ranges::all_of(one.findings(), [&](const Finding& finding) {
    return finding.probe == "interfaces" ||
           finding.value == other.Value(finding.probe);
  });
}

// Whether it has no capability that engines do not leave.
bool IsConfined(const Evidence& evidence) {
  const auto set = [&](const char* probe) {
    return std::stoull(evidence.Value(probe), nullptr, 16);
  };
  return ((set("bounding") | set("effective")) & ~kEnginesCapabilities) ==
         0;
}

// Whether a message goes through the machine's own loopback.
bool ReachesItself() {
  const Descriptor listener = MakeTcpSocket();
  Check(Bind(listener, "127.0.0.1", kGatewayPort), "bind()");
  Check(listen(listener.get(), 1), "listen()");
  const Descriptor socket = MakeTcpSocket();
  return Connect(socket, "127.0.0.1", kGatewayPort) == 0;
}

// What the gateway says: the address that it sees.
Finding FromGateway(Side& side) {
  const Descriptor socket = MakeTcpSocket();
  LimitPatience(socket);
  const int result = Connect(socket, kGateway, kGatewayPort);
  side.Check(result, "connect({}, {{\"{}\", {}}})", socket.get(), kGateway,
             kGatewayPort);
  std::string said = ReadAll(socket.get());
  if (said.ends_with('\n')) said.pop_back();
  return {"seen as", said, "read(2)"};
}

// Leaves a process whose parent has ended, and which then ends. PID 1 gets
// to know its PID through an eventfd(2).
void LeaveOrphan(Line& line, const Descriptor& to_init) {
  Child parent([&](Line&) {
    Child orphan([&line](Line& to_parent) {
      // A Child is killed when its parent ends; here it is only told so.
      sigset_t told;
      sigemptyset(&told);
      sigaddset(&told, SIGUSR2);
      Check(sigprocmask(SIG_BLOCK, &told, nullptr), "sigprocmask()");
      Check(prctl(PR_SET_PDEATHSIG, SIGUSR2), "prctl(PR_SET_PDEATHSIG)");
      to_parent.Send("ready");
      sigwaitinfo(&told, nullptr);
      Side("orphan", line)
          .Show({{"PID", fmt::to_string(getpid()), "getpid(2)"},
                 {"PPID", fmt::to_string(getppid()), "getppid(2)"}});
    });
    orphan.Fork();
    eventfd_write(to_init.get(), static_cast<eventfd_t>(orphan.pid()));
    orphan.Receive();
    _exit(EXIT_SUCCESS);
  });
  parent.Fork();
  parent.Finish();
}

// Forks until the kernel refuses it, and ends all of them.
void ForkToTheLimit(Side& side) {
  std::vector<Child> children;
  pid_t pid = 0;
  while (pid != -1) {
    Child& child =
        children.emplace_back([](Line& line) { line.Checkpoint(); });
    pid = clone(Child::Main, child.stack_top(), SIGCHLD, &child);
    child.Started(pid);
  }
  const int refusal = side.Try(pid, "clone(SIGCHLD)");
  side.Show({{"children", fmt::to_string(children.size() - 1), "clone(2)"},
             {"errno", ErrnoName(refusal), "clone(2)"}});
}

// The command that runs inside, as the child of the container's PID 1.
int Command(Line& line, bool limited, const Descriptor& to_init) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGUSR1);
  Check(sigprocmask(SIG_BLOCK, &awaited, nullptr), "sigprocmask()");
  Side inside("inside", line);
  const int file = open(kFile, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  inside.Try(file, "open(\"{}\", O_WRONLY | O_CREAT, 0644)", kFile);
  inside.Show(Look());
  line.Checkpoint();

  const int result = sethostname("renamed", 7);
  const int refusal = inside.Try(result, "sethostname(\"renamed\", 7)");
  inside.Show({{"errno", ErrnoName(refusal), "sethostname(2)"}});
  line.Checkpoint();

  if (if_nametoindex("eth0") != 0) {
    inside.Show(
        {{"loopback", ReachesItself() ? "works" : "does not", "connect(2)"},
         FromGateway(inside)});
    line.Checkpoint();
  }
  if (limited) {
    ForkToTheLimit(inside);
    line.Checkpoint();
  }
  LeaveOrphan(line, to_init);

  siginfo_t info = {};
  Check(sigwaitinfo(&awaited, &info), "sigwaitinfo()");
  inside.Show({{"signal",
                fmt::format("SIG{} from PID {}",
                            sigabbrev_np(info.si_signo), info.si_pid),
                "sigwaitinfo(2)"}});
  line.Checkpoint();
  return EXIT_SUCCESS;
}

// The container's PID 1. It tells of the lesson's orphan, and not of what a
// reader's shell leaves to it.
int Init(Line& line, bool limited) {
  const Descriptor to_init(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Check(to_init.get(), "eventfd(0)");
  Side init("init", line);
  eventfd_t orphan = 0;
  const auto is_orphan = [&](pid_t ended) {
    eventfd_read(to_init.get(), &orphan);
    return ended == static_cast<pid_t>(orphan);
  };
  return RunInit(init, is_orphan,
                 [&] { return Command(line, limited, to_init); });
}

void Teach(Lesson& lesson, std::optional<Container>& made) {
  Side& outside = lesson.outside();
  Container& container = made.emplace("");

  lesson.Begin("Outside: what a process sees of this machine");
  const Evidence before = outside.Show(Look());

  lesson.Begin("Control: without flags a child sees the same");
  Child control([](Line& line) { Side("child", line).Show(Look()); });
  const pid_t plain =
      clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(plain), "clone(SIGCHLD)");
  const Evidence shared = outside.Hear(control);
  control.Finish();

  lesson.Begin("Limits come first: lesson cgroup");
  Outcome limit = container.Limit(lesson, outside);
  const bool limited = limit.holds.has_value();
  if (!limited) lesson.Note("Left out: " + limit.reason);

  lesson.Begin("Inside: all namespaces at once, a name, and a root");
  container.Start(outside, [=](Line& line) { return Init(line, limited); });
  Child& child = container.init();
  const auto own = NamespacesOf(getpid());
  int others = 0;
  for (const auto& [flag, id] : own) others |= flag;
  const int different = Difference(own, NamespacesOf(child.pid()));

  lesson.Begin("A link to a gateway, and a loopback: lesson net");
  Outcome network = container.Connect(lesson, outside);
  const bool connected = network.holds.has_value();
  if (!connected) lesson.Note("Left out: " + network.reason);

  lesson.Begin("What it may do is cut down; then it is complete");
  container.Confine(outside);
  lesson.Show(container.Parts());
  child.Release();
  const Evidence inside = outside.Hear(child);
  lesson.Predict(
      "Next, root inside calls sethostname(2), in a UTS namespace that is "
      "the container's own. Which errno does it get, or is it 0?",
      {"0", ErrnoName(EPERM)});

  lesson.Begin("Root inside is less than root");
  child.Release();
  const std::string refused = outside.Hear(child).Value("errno");
  lesson.Answer(refused,
                "It takes CAP_SYS_ADMIN, which engines do not leave.");

  lesson.Begin("Its loopback and its link work");
  if (connected) {
    child.Release();
    const Evidence reached = outside.Hear(child);
    network.holds = reached.Value("loopback") == "works" &&
                    reached.Value("seen as") == kAddress;
  } else {
    lesson.Note("There is no link.");
  }

  lesson.Begin("The limit holds");
  if (limited) {
    child.Release();
    const Evidence forked = outside.Hear(child);
    // All but PID 1 and the command.
    const int expected = kProcesses - 2;
    const int children = std::stoi(forked.Value("children"));
    limit.holds =
        forked.Value("errno") == ErrnoName(EAGAIN) && children == expected;
    if (children < expected) {
      limit = {std::nullopt, "A lower limit, further out, came first."};
    }
  } else {
    lesson.Note("There is no limit.");
  }

  lesson.Begin("PID 1 reaps what nobody waits for, and passes on signals");
  child.Release();
  const Evidence orphan = outside.Hear(child);
  // There is none where it was killed, and PID 1 tells of it first.
  const std::string& adopter = orphan.Value("PPID");
  const std::string reaped = outside.Hear(child).Value("reaped");
  outside.Check(kill(child.pid(), SIGUSR1), "kill({}, SIGUSR1)",
                child.pid());
  const std::string signal = outside.Hear(child).Value("signal");

  lesson.Begin("Outside again, with the container still there");
  const Evidence after = outside.Show(Look());
  lesson.Compare(before, inside, after);

  lesson.Claim("Without flags, a child sees what its parent sees.",
               Same(shared, before));
  lesson.Claim(
      "In a container every namespace is another, but that of the user.",
      different == (others & ~CLONE_NEWUSER));
  Outcome written = {inside.Value("new file") == "there" &&
                         after.Value("new file") == "absent",
                     ""};
  if (!container.has_overlay()) {
    written = {std::nullopt, "The kernel refused an overlay over /usr."};
  }
  lesson.Claim("What is written to /usr inside is not outside.", written);
  lesson.Claim("Its loopback works, and a gateway sees its address.",
               network);
  lesson.Claim("The limit on its processes holds (EAGAIN).", limit);
  lesson.Claim(
      "It has no more capabilities than engines leave, and can get no new "
      "ones.",
      inside.Value("no_new_privs") == "1" && IsConfined(inside));
  lesson.Claim("So even root inside may not rename it (EPERM).",
               refused == ErrnoName(EPERM));
  lesson.Claim("Its PID 1 adopts an orphan, and reaps it.",
               adopter == "1" && reaped == orphan.Value("PID"));
  lesson.Claim("Its PID 1 passes on a signal to the command.",
               signal == "SIGUSR1 from PID 1");
  lesson.Claim("Outside, nothing has changed.", Same(after, before));

  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  // What is made for the child that is kept has to last as long.
  std::optional<steps::Container> container;
  return steps::RunLesson(
      argc, argv,
      {.name = "container",
       .title = "container: all of it together",
       .man_page = "namespaces(7)"},
      [&](steps::Lesson& lesson) { steps::Teach(lesson, container); },
      steps::ContainerTask());
}
