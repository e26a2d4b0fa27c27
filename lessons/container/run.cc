// What //lessons:container does with a command of the reader's:
//
//   bazel run //lessons:container -- ps -ef
//   bazel run //lessons:container -- --rootfs DIR [COMMAND…]

#include "lessons/container/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/network.h"
#include "common/kernel/user_namespace.h"
#include "common/program/command_line.h"
#include "common/program/shell.h"
#include "lessons/container/filter.h"
#include "lessons/container/init.h"
#include "lessons/container/limits.h"
#include "lessons/container/link.h"
#include "lessons/container/parts.h"
#include "lessons/container/privileges.h"
#include "lessons/container/root.h"

namespace steps {
namespace {

/// How many processes the container may have at once, PID 1 included.
constexpr int kProcesses = 100;

// What the container's processes read of the command line: they have a copy
// of this process's memory.
struct Order {
  std::string image;  // A directory, or empty.
  std::vector<std::string> command;
  bool has_terminal;
};

void CheckDirectory(const std::string& directory) {
  try {
    Open(directory, O_PATH | O_DIRECTORY);
  } catch (const CallError& error) {
    throw UsageError(fmt::format("--rootfs: {}", error.what()));
  }
}

// The environment of an engine's command: nothing of the reader's, but for
// the terminal.
void MakeEnvironment() {
  const char* term = getenv("TERM");
  const std::string terminal = term == nullptr ? "dumb" : term;
  MUST(clearenv);
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, std::string>>{
           {"HOME", "/root"},
           {"HOSTNAME", kName},
           {"PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
            "/sbin:/bin"},
           {"TERM", terminal}}) {
    MUST(setenv, name, value.c_str(), 1);
  }
}

// Makes the command a job of its own on the terminal, as a shell would. One
// that is a shell could not give the terminal back to the reader's: that
// has no number inside.
void TakeTerminal() {
  MUST(setpgid, 0, 0);
  // What the background has to fear from the terminal. tcsetpgrp(3).
  std::signal(SIGTTOU, SIG_IGN);
  MUST(tcsetpgrp, STDIN_FILENO, getpid());
  std::signal(SIGTTOU, SIG_DFL);
}

// The child of PID 1 becomes the command. It leaves the process group of
// the lesson: what it sends to its own group stays inside.
int BecomeOrdered(const Order& order) {
  sigset_t none;
  sigemptyset(&none);
  MUST(sigprocmask, SIG_SETMASK, &none, nullptr);
  if (order.has_terminal) {
    TakeTerminal();
  } else {
    MUST(setsid);
  }
  MakeEnvironment();
  MUST(close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  const bool has_bash = access("/bin/bash", X_OK) == 0;
  if (order.command.empty() && !has_bash) return BecomeCommand({"sh"}, "");
  return BecomeCommand(order.command, "[container] \\u@\\h:\\w\\$ ");
}

// PID 1, with the command as its child. Gives that one's exit status.
int BeInit(const Order& order) {
  // What is typed on the terminal comes from the lesson, and not twice.
  MUST(setpgid, 0, 0);
  // The command has the capabilities of PID 1, and may not see what this
  // process still has of the host: its descriptors and its program.
  MUST(prctl, PR_SET_DUMPABLE, 0);
  const pid_t command = MUST(fork);
  if (command != 0) return RunInit(command);
  try {
    _exit(BecomeOrdered(order));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    _exit(EXIT_FAILURE);
  }
}

// The process that gets what signals the lesson gets.
volatile pid_t receiver = -1;

void RelaySignalsTo(pid_t pid) {
  receiver = pid;
  struct sigaction relay = {};
  relay.sa_handler = [](int signal) { kill(receiver, signal); };
  sigfillset(&relay.sa_mask);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGCHLD) sigaction(signal, &relay, nullptr);
  }
  sigset_t all;
  sigfillset(&all);
  MUST(sigprocmask, SIG_UNBLOCK, &all, nullptr);
}

int RunContainer(Lesson& lesson, const std::optional<std::string>& rootfs,
                 const std::vector<std::string>& command) {
  if (rootfs) CheckDirectory(*rootfs);
  if (!HasCapabilities(kNeeded)) {
    EnterUserNamespaceAsRoot();
    lesson.Note("The container is made by root in a new user namespace.");
  }
  // Those that come from now on are for the command.
  BlockSignals();
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);
  // Of a pipeline the others need it as well.
  const Order order = {rootfs.value_or(""), command,
                       foreground == getpgrp() && isatty(STDOUT_FILENO) == 1};
  const char* image = order.image.c_str();
  ObserveCalls([](const Call&) {});
  Process outside = Process::Quiet();

  Limits limits;
  Outcome limited =
      lesson.Attempt([&limits] { return limits.Set(kProcesses); });
  if (limited.holds == false) limited.reason = "No cgroup here has limits.";
  const int flags = ContainerFlags();
  Process inside = outside.Clone("container", flags);
  inside.MustDiffer(outside, flags);
  limits.Enter(inside);
  inside.Run([] { MUST(unshare, CLONE_NEWCGROUP); });
  inside.Run([] { MUST(sethostname, kName, std::strlen(kName)); });
  Outcome proc = {true};
  try {
    const int error = inside.Run([image] { return MakeRoot(image); });
    proc = lesson.Attempt([error] {
      if (error != 0) throw CallError(error, "mount(\"proc\")");
      return true;
    });
  } catch (const CallError& error) {
    if (error.error() != EROFS || error.call().name() != "mkdir") throw;
    throw ExplainedError(error.what(),
                         {"The new root is read-only: the kernel refused "
                          "an overlay over it.",
                          "make the directories dev, mnt and proc in it"});
  }
  std::optional<Process> gateway;
  const Outcome connected = lesson.Attempt([&] {
    gateway.emplace(outside.StandIn("gateway", CLONE_NEWNET));
    gateway->Run([pid = inside.pid()] { ServeOnLink(pid); });
    return true;
  });
  inside.Run(BringUpLink);
  if (connected.holds) gateway->Run([] { AwaitOperational("veth0"); });
  inside.Run(DropPrivileges);
  inside.Run(FilterCalls);
  lesson.Show(Parts(outside, inside, image, limits.text(), kProcesses));
  for (const Outcome& outcome : {proc, limited, connected}) {
    if (!outcome.reason.empty()) lesson.Note("Left out: " + outcome.reason);
  }

  RelaySignalsTo(inside.pid());
  const int status = inside.Run([order = &order] { return BeInit(*order); },
                                Process::kForever);
  GiveTerminalTo(foreground);
  return status;
}

}  // namespace

Task ContainerTask() {
  const auto rootfs = std::make_shared<std::optional<std::string>>();
  return {
      .words = "COMMAND…",
      .help = "run that in a container",
      .example = "ps -ef",
      .runs_command = true,
      .run =
          [rootfs](Lesson& lesson, const std::vector<std::string>& command) {
            return RunContainer(lesson, *rootfs, command);
          },
      .option = {{.name = "--rootfs",
                  .value_name = "DIR",
                  .help = "Let DIR be the root of COMMAND, or of a shell",
                  .value = rootfs}}};
}

}  // namespace steps
