// What //lessons:container does with a command of the reader's:
//
//   bazel run //lessons:container -- ps -ef
//   bazel run //lessons:container -- --rootfs DIR [COMMAND…]

#include "lessons/container_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/shell.h"
#include "common/user_namespace.h"
#include "lessons/container_build.h"

namespace steps {
namespace {

void CheckFolder(const std::string& folder) {
  try {
    Open(folder, O_PATH | O_DIRECTORY);
  } catch (const CallError& error) {
    throw UsageError(fmt::format("--rootfs: {}", error.what()));
  }
}

// The environment of an engine's command: nothing of the reader's, but for
// the terminal.
void MakeEnvironment() {
  const char* term = getenv("TERM");
  const std::string terminal = term == nullptr ? "dumb" : term;
  Check(clearenv() == 0 ? 0 : -1, "clearenv()");
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, std::string>>{
           {"HOME", "/root"},
           {"HOSTNAME", kName},
           {"PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
            "/sbin:/bin"},
           {"TERM", terminal}}) {
    Check(setenv(name, value.c_str(), 1), "setenv(\"{}\")", name);
  }
}

// Makes the command a job of its own on the terminal, as a shell would. One
// that is a shell could not give the terminal back to the reader's: that
// has no number inside.
void TakeTerminal() {
  Check(setpgid(0, 0), "setpgid(0, 0)");
  // What the background has to fear from the terminal. tcsetpgrp(3).
  std::signal(SIGTTOU, SIG_IGN);
  Check(tcsetpgrp(STDIN_FILENO, getpid()), "tcsetpgrp({})", getpid());
  std::signal(SIGTTOU, SIG_DFL);
}

// PID 1, with the command as its child. That one leaves the process group
// of the lesson: what it sends to its own group stays inside.
int Init(const std::vector<std::string>& command, bool has_terminal) {
  // What is typed on the terminal comes from the lesson, and not twice.
  Check(setpgid(0, 0), "setpgid(0, 0)");
  // The command has the capabilities of PID 1, and may not see what this
  // process still has of the host: its descriptors and its program.
  Check(prctl(PR_SET_DUMPABLE, 0), "prctl(PR_SET_DUMPABLE, 0)");
  Side quiet("init", [](const Event&) {});
  const auto nothing = [](pid_t) { return false; };
  return RunInit(quiet, nothing, [&] {
    if (has_terminal) {
      TakeTerminal();
    } else {
      Check(setsid(), "setsid()");
    }
    MakeEnvironment();
    Check(close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC),
          "close_range(CLOSE_RANGE_CLOEXEC)");
    const bool has_bash = access("/bin/bash", X_OK) == 0;
    if (command.empty() && !has_bash) return BecomeCommand({"sh"}, "");
    return BecomeCommand(command, "[container] \\u@\\h:\\w\\$ ");
  });
}

int RunContainer(Lesson& lesson, const std::optional<std::string>& rootfs,
                 const std::vector<std::string>& command) {
  if (rootfs) CheckFolder(*rootfs);
  Container container(rootfs.value_or(""));
  if (!HasSysAdmin()) {
    EnterUserNamespaceAsRoot();
    lesson.Note("It is made by root of a user namespace of its own.");
  }
  // Those that come from now on are for the command.
  BlockSignals();
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);
  // Of a pipeline the others need it as well.
  const bool has_terminal =
      foreground == getpgrp() && isatty(STDOUT_FILENO) == 1;
  Side quiet("outside", [](const Event&) {});
  const Outcome limited = container.Limit(lesson, quiet);
  container.Start(quiet,
                  [&](Line&) { return Init(command, has_terminal); });
  const Outcome connected = container.Connect(lesson, quiet);
  container.Confine(quiet);
  lesson.Show(container.Parts());
  for (const Outcome& outcome : {limited, connected}) {
    if (!outcome.holds) lesson.Note("Left out: " + outcome.reason);
  }

  Child& init = container.init();
  init.Release();
  RelaySignals(init.pid(), [&init] {
    siginfo_t ended = {};
    Check(waitid(P_PID, static_cast<id_t>(init.pid()), &ended,
                 WEXITED | WNOHANG | WNOWAIT),
          "waitid({})", init.pid());
    return ended.si_pid != 0;
  });
  GiveTerminalTo(foreground);
  init.Receive();  // Throws what went wrong before the command had begun.
  return ExitStatus(init.Wait());
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
          [rootfs](Lesson& lesson,
                   const std::vector<std::string>& command) {
            return RunContainer(lesson, *rootfs, command);
          },
      .option = {{.name = "--rootfs",
                  .value_name = "DIR",
                  .help = "Let DIR be the root of COMMAND, or of a shell",
                  .value = rootfs}}};
}

}  // namespace steps
