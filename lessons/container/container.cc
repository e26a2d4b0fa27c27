// container: all of it together.                              namespaces(7)
//
//   bazel run //lessons:container                the lesson
//   bazel run //lessons:container -- --shell     and a shell inside
//   bazel run //lessons:container -- [--rootfs DIR] COMMAND…
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace. The
// last line is a tool; run.cc has it. Each step's functions are in the file
// beside this one that is named for it.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "common/kernel/network.h"
#include "common/program/program.h"
#include "lessons/container/filter.h"
#include "lessons/container/init.h"
#include "lessons/container/limits.h"
#include "lessons/container/link.h"
#include "lessons/container/look.h"
#include "lessons/container/parts.h"
#include "lessons/container/privileges.h"
#include "lessons/container/root.h"
#include "lessons/container/run.h"

namespace steps {
namespace {

// Of the container, PID 1 included.
constexpr int kProcesses = 20;

// Whether both see the same machine: it may get another interface
// meanwhile.
bool Same(const Evidence& one, const Evidence& other) {
  return one[kHostname] == other[kHostname] && one[kRoot] == other[kRoot] &&
         one[kWritten] == other[kWritten];
}

void Teach(Lesson& lesson, Limits& limits, std::optional<Process>& gateway) {
  Process& outside = lesson.outside();

  lesson.Step("Before: what a process sees of this machine");
  const Evidence before =
      outside.Ask(kHostname, kRoot, kInterfaces, kWritten);
  outside.Ask(kBounding, kEffective, kGains);

  lesson.Step("Control: without flags, a child sees the same");
  Process child = outside.Clone("child", 0);
  const Evidence same = child.Ask(kHostname, kRoot, kInterfaces, kWritten);
  lesson.Claim("Without flags, a child sees what its parent sees.",
               Same(same, before));

  lesson.Step("Limits come first: lesson cgroup",
              "A cgroup limits what enters it: its processes and memory.");
  Outcome limited = lesson.Attempt([&] { return limits.Set(kProcesses); });
  if (limited.holds == false) {
    limited = {std::nullopt, "No cgroup here has children with limits."};
  }
  if (!limited.holds) lesson.Note("Left out: " + limited.reason);

  lesson.Step("One clone, and all namespaces are new",
              "`inside` will be the container's PID 1. It enters the cgroup, "
              "which becomes the root of its cgroup namespace.");
  const int flags = ContainerFlags();
  Process inside = outside.Clone("inside", flags);
  inside.MustDiffer(outside, flags);
  limits.Enter(inside);
  inside.Run([] { CALL(unshare, CLONE_NEWCGROUP); });
  lesson.Claim(
      "In a container all namespaces are new, but for the user namespace.",
      Difference(inside.pid()) == (KnownFlags() & ~CLONE_NEWUSER));

  lesson.Step("A name and a root: lessons uts, mount, chroot",
              "The host's /usr lies below an overlay: what is written goes "
              "to memory.");
  inside.Run([] { CALL(sethostname, kName, std::strlen(kName)); });
  lesson.Claim("The container has its own hostname.",
               inside.Ask(kHostname) == kName &&
                   outside.Ask(kHostname) == before[kHostname]);
  inside.Run([] { MakeRoot(""); });
  const int refused =
      inside.Run([] { return TRY(open, kFile, O_WRONLY | O_CREAT, 0644); });
  Outcome written = {refused == 0 && inside.Ask(kWritten) == "there" &&
                     outside.Ask(kWritten) == "absent"};
  if (!inside.Run([] { return Programs("").ends_with("overlay"); })) {
    written = {std::nullopt, "The kernel refused an overlay over /usr."};
  }
  lesson.Claim("What is written to /usr inside is not outside.", written);

  lesson.Step("A link to a gateway, and a loopback: lesson net",
              "A veth pair leads to `gateway`, which is alone in its network "
              "namespace.");
  Outcome connected = lesson.Attempt([&] {
    gateway.emplace(outside.StandIn("gateway", CLONE_NEWNET));
    gateway->Run([pid = inside.pid()] { ServeOnLink(pid); });
    return true;
  });
  inside.Run(BringUpLink);
  if (connected.holds) {
    gateway->Run([] { SettleLink("veth0"); });
    connected.holds =
        inside.Ask(kLoopback) == "works" && inside.Ask(kSeen) == kAddress;
  }
  lesson.Claim("Its loopback works, and a gateway sees its address.",
               connected);

  lesson.Step("Its capabilities are cut down: lesson user",
              "14 stay, as with Docker.");
  inside.Run(DropPrivileges);
  const Evidence confined = inside.Ask(kBounding, kEffective, kGains);
  lesson.Claim(
      "It has only capabilities that engines leave, and can gain no more in "
      "this user namespace.",
      confined[kGains] == "no" && inside.Run([] {
        return ((BoundingSet() | EffectiveSet()) & ~kEnginesCapabilities) ==
               0;
      }));
  const int error = inside.Run([] { return TRY(sethostname, "renamed", 7); });
  lesson.Claim("So even root inside may not rename it (EPERM).",
               error == EPERM);

  lesson.Step(
      "A filter refuses what engines refuse",
      "In a new user namespace a process has all capabilities again.");
  inside.Run(FilterCalls);
  const int unshared = inside.Run([] { return TRY(unshare, CLONE_NEWUSER); });
  lesson.Claim("A filter refuses it a new user namespace (EPERM).",
               unshared == EPERM);
  lesson.Show(Parts(inside, "", limits.text(), kProcesses));

  lesson.Predict(
      "PID 1 starts a command, which is PID 2 in the container. Does `ps` on "
      "the host list it?",
      {"yes, with another PID", "no", "yes, as PID 2",
       "only `docker ps` does"});

  lesson.Step("The command is a process of the host, too",
              "It is a child of the container's PID 1.");
  inside.Run(BlockSignals);
  Process command = inside.Clone("command", 0);
  const std::string pids = outside.Ask(PidsOf(command.pid()));
  const bool is_second = pids.ends_with(" 2");
  lesson.Answer(pids == "2" ? "yes, as PID 2"
                : is_second ? "yes, with another PID"
                            : "no",
                "A container hides the host from its processes, not its "
                "processes from the host.");
  lesson.Claim("The host lists the command, with another PID than inside.",
               is_second && pids != "2");

  lesson.Step("The limit holds",
              "The command forks until the kernel refuses it.");
  if (limited.holds) {
    // All but PID 1 and the command.
    const int children = std::stoi(command.Ask(kChildren));
    limited.holds = children == kProcesses - 2;
    if (children < kProcesses - 2) {
      limited = {std::nullopt, "A lower limit, further out, came first."};
    }
  }
  lesson.Claim("The limit on its processes holds (EAGAIN).", limited);

  lesson.Step("PID 1 adopts, reaps, and passes on signals: lesson pid",
              "The command's child ends before its own child, an orphan.");
  Process parent = command.Clone("parent", 0);
  Process orphan = parent.Clone("orphan", 0);
  orphan.Run(OutliveParent);
  CALL(kill, parent.pid(), SIGKILL);
  const bool adopted = parent.Ends() && orphan.Ask(kParent) == "1";
  CALL(kill, orphan.pid(), SIGKILL);
  orphan.Ends();
  const pid_t reaped =
      inside.Run([] { return CALL(waitpid, -1, nullptr, 0); });
  lesson.Claim("Its PID 1 adopts an orphan, and reaps it.",
               adopted && reaped > 2 && TRY(kill, orphan.pid(), 0) == ESRCH);
  CALL(kill, inside.pid(), SIGUSR1);
  inside.Run([] { PassOnSignal(2); });
  const int signal = command.Run([] { return NextSignal(true); });
  lesson.Claim("Its PID 1 passes on a signal to the command.",
               signal == SIGUSR1);

  lesson.Step("Outside again, with the container still there");
  const Evidence within = inside.Ask(kHostname, kRoot, kInterfaces, kWritten);
  const Evidence after = outside.Ask(kHostname, kRoot, kInterfaces, kWritten);
  lesson.Compare(before, within, after);
  lesson.Claim("Outside, nothing has changed.", Same(after, before));
  lesson.Remember(
      "A container is an ordinary process: in new namespaces, with a new "
      "root, limits, and fewer capabilities.");
  // Nothing but PID 1 is to be there for a shell inside.
  kill(command.pid(), SIGKILL);
  inside.Run(ReapAll);
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  // What the container needs as long as a shell is in it.
  steps::Limits limits;
  std::optional<steps::Process> gateway;
  return limits.Remove(steps::RunLesson(
      {"container", "container: all of it together", "namespaces(7)",
       steps::kNeeded},
      [&](steps::Lesson& lesson) { steps::Teach(lesson, limits, gateway); },
      argc, argv, steps::ContainerTask()));
}
