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
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/lesson/advice.h"
#include "common/program/command_line.h"
#include "common/program/shell.h"
#include "lessons/container/filter.h"
#include "lessons/container/init.h"
#include "lessons/container/limits.h"
#include "lessons/container/link.h"
#include "lessons/container/parts.h"
#include "lessons/container/privileges.h"
#include "lessons/container/root.h"
#include "lessons/container/terminal.h"

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

// The child of PID 1 becomes the command, which is a job of its own: what it
// sends to its own group, PID 1 does not get.
int BecomeOrdered(const Order& order) {
  MUST(setpgid, 0, 0);
  // In the background that takes a blocked SIGTTOU. tcsetpgrp(3).
  if (order.has_terminal) MUST(tcsetpgrp, STDIN_FILENO, getpid());
  sigset_t none;
  sigemptyset(&none);
  MUST(sigprocmask, SIG_SETMASK, &none, nullptr);
  MakeEnvironment();
  MUST(close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  const bool has_bash = access("/bin/bash", X_OK) == 0;
  if (order.command.empty() && !has_bash) return BecomeCommand({"sh"}, "");
  return BecomeCommand(order.command, "[container] \\u@\\h:\\w\\$ ");
}

// PID 1, with the command as its child. Gives that one's exit status.
int BeInit(const Order& order) {
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

// Moves PID 1 to its root. Gives the errno with which it was refused a /proc.
int GoToRoot(Process& inside, const char* image) {
  try {
    return inside.Run([image] { return MakeRoot(image); });
  } catch (const CallError& error) {
    if (error.error() != EROFS || !error.call().text.starts_with("mkdir("))
      throw;
    throw ExplainedError(error.what(),
                         {"The new root is read-only: the kernel refused "
                          "an overlay over it.",
                          "make the directories dev, mnt and proc in it"});
  }
}

// Gets a part of the container. Where this machine refuses it, the container
// does without: says so, and what would allow it.
bool Get(const Lesson& lesson, std::vector<std::string>& left_out,
         const std::function<void()>& part) {
  try {
    part();
    return true;
  } catch (const std::exception& error) {
    const std::optional<Advice> advice = Explain(error, lesson.machine());
    if (!advice) throw;
    left_out.push_back(fmt::format("Left out: {}. {} To have it: {}.",
                                   error.what(), advice->cause,
                                   advice->remedy));
    return false;
  }
}

// Makes the container, and gives the exit status of the command in it.
int RunOrdered(Lesson& lesson, const Order& order, Limits& limits) {
  Process outside = Process::Quiet();
  std::vector<std::string> left_out;
  Get(lesson, left_out, [&] {
    if (limits.Set(kProcesses)) return;
    left_out.emplace_back("Left out: No cgroup here has limits.");
  });
  Relay relay;  // Shows what is left to show when the container has ended.
  const int flags = ContainerFlags();
  Process inside = outside.Clone("container", flags);
  inside.MustDiffer(outside, flags);
  limits.Enter(inside);
  inside.Run([] { MUST(unshare, CLONE_NEWCGROUP); });
  inside.Run([] { MUST(sethostname, kName, std::strlen(kName)); });
  const int no_proc = GoToRoot(inside, order.image.c_str());
  Get(lesson, left_out, [no_proc] {
    if (no_proc != 0) throw CallError(no_proc, "mount(\"proc\")");
  });
  std::optional<Process> gateway;
  const bool is_linked = Get(lesson, left_out, [&] {
    gateway.emplace(outside.StandIn("gateway", CLONE_NEWNET));
    gateway->Run([pid = inside.pid()] { ServeOnLink(pid); });
  });
  inside.Run(BringUpLink);
  if (is_linked) gateway->Run([] { SettleLink("veth0"); });
  if (order.has_terminal) relay.MakeTerminal(outside, inside);
  inside.Run(DropPrivileges);
  inside.Run(FilterCalls);
  lesson.Show(Parts(inside, order.image.c_str(), limits.text(), kProcesses));
  for (const std::string& part : left_out) lesson.Note(part);

  inside.Run([has = order.has_terminal] { BeginSession(has); });
  relay.Begin(inside.pid());
  return inside.Run([order = &order] { return BeInit(*order); },
                    Process::kForever);
}

std::optional<std::string> rootfs;  // The option.

int RunContainer(Lesson& lesson, const std::vector<std::string>& command) {
  if (rootfs) CheckDirectory(*rootfs);
  if (!HasCapabilities(kNeeded)) {
    EnterUserNamespaceAsRoot();
    lesson.Note("The container is made by root in a new user namespace.");
  }
  // Those that come from now on are for the command.
  BlockSignals();
  // In a pipeline the others need the terminal as well.
  const Order order = {
      rootfs.value_or(""), command,
      tcgetpgrp(STDIN_FILENO) == getpgrp() && isatty(STDOUT_FILENO) == 1};
  ObserveCalls([](const Call&) {});
  Limits limits;
  return limits.Remove(RunOrdered(lesson, order, limits));
}

}  // namespace

Task ContainerTask() {
  return {.words = "COMMAND…",
          .help = "run that in a container",
          .example = "ps -ef",
          .runs_command = true,
          .run = RunContainer,
          .option = {{.name = "--rootfs",
                      .value_name = "DIR",
                      .help = "Let DIR be the root of COMMAND, or of a shell",
                      .value = &rootfs}}};
}

}  // namespace steps
