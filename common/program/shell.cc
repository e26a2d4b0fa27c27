#include "common/program/shell.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

// The terminal of stdin before a shell had it. Foreground -1: no shell has it.
struct Terminal {
  pid_t foreground = -1;
  termios modes = {};
} terminal;

// Kills what descends from this process, a subreaper, but for the children
// `spared`. The children of what is killed become children here.
void KillDescendants(const std::vector<pid_t>& spared) {
  bool found = true;
  while (std::exchange(found, false)) {
    for (const pid_t pid : ChildrenOf(getpid())) {
      if (std::ranges::count(spared, pid) > 0) continue;
      if (kill(pid, SIGKILL) == -1) continue;
      found = true;
      MUST(waitpid, pid, nullptr, 0);
    }
  }
}

// A child for `body`, which becomes another program or gives the exit status.
pid_t Fork(const std::function<int()>& body) {
  const pid_t pid = MUST(fork);
  if (pid != 0) return pid;
  try {
    MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
    _exit(body());
  } catch (const std::exception& error) {
    Complain(fmt::format("{}\n", error.what()));
  }
  _exit(EXIT_FAILURE);
}

// Gives the terminal of stdin back to the process group that had it, if not -1.
// In a PID namespace bash has no number for that group, and cannot: this
// program would be stopped at its next read.
void GiveTerminalTo(pid_t foreground) {
  if (foreground == -1) return;
  // What the background has to fear from the terminal. tcsetpgrp(3).
  std::signal(SIGTTOU, SIG_IGN);
  // It fails where the terminal is gone, too, and then nobody reads.
  tcsetpgrp(STDIN_FILENO, foreground);
}

// Stays beside the shell until it ends or the lesson does; then ends what the
// shell has left running.
void KeepShell(pid_t pid, const std::string& prompt) {
  // No signal may end it before its work is done, such as a terminal's SIGHUP.
  const sigset_t before = BlockSignals();
  MUST(prctl, PR_SET_CHILD_SUBREAPER, 1);
  const Descriptor lesson(MUST(pidfd_open, getppid(), 0));
  OutliveParent();

  const Descriptor inside(MUST(pidfd_open, pid, 0));
  const int flags = Difference(pid);
  // Of a PID namespace, the children of a process that joins it are members.
  const int in_children = flags & CLONE_NEWPID;
  if (in_children != 0) MUST(setns, inside.get(), in_children);
  const pid_t child = Fork([&] {
    const int rest = flags & ~in_children;
    if (rest != 0) MUST(setns, inside.get(), rest);
    MUST(sigprocmask, SIG_SETMASK, &before, nullptr);
    return BecomeCommand({}, prompt);
  });
  const Descriptor shell(MUST(pidfd_open, child, 0));

  pollfd ends[] = {{shell.get(), POLLIN, 0}, {lesson.get(), POLLIN, 0}};
  MUST(poll, ends, std::size(ends), -1);
  KillDescendants({});
  // Not where the reader's shell has it by now.
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);
  if (foreground == terminal.foreground || kill(-foreground, 0) == -1) {
    ReclaimTerminal();
  }
}

}  // namespace

void ReclaimTerminal() {
  if (terminal.foreground == -1) return;
  GiveTerminalTo(terminal.foreground);
  tcsetattr(STDIN_FILENO, TCSANOW, &terminal.modes);
}

int BecomeCommand(std::vector<std::string> command, const std::string& prompt) {
  if (command.empty()) {
    MUST(setenv, "PS1", prompt.c_str(), 1);
    // The reader's own start-up files would replace the prompt, and the
    // reader's own history would keep what is typed here.
    MUST(setenv, "HISTFILE", "", 1);
    command = {"bash", "--norc"};
  }
  execvp(command[0].c_str(), ExecArguments(command).data());
  const int error = errno;
  const std::string why =
      error == ENOENT
          ? "there is no such command, or its interpreter is missing"
          : fmt::format("cannot be run: {} ({})", strerror(error),
                        ErrnoName(error));
  Complain(fmt::format("{}: {}\n", command[0], why));
  return error == ENOENT ? 127 : 126;
}

int AwaitCommand(const std::vector<std::string>& command,
                 const std::string& prompt) {
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);
  sigset_t signals;
  sigset_t before;
  sigfillset(&signals);
  // What stops a terminal's jobs stops this process, too.
  for (const int stop : {SIGTSTP, SIGTTIN, SIGTTOU}) sigdelset(&signals, stop);
  MUST(sigprocmask, SIG_BLOCK, &signals, &before);
  const pid_t child = Fork([&] {
    MUST(sigprocmask, SIG_SETMASK, &before, nullptr);
    return BecomeCommand(command, prompt);
  });
  int status = 0;
  while (MUST(waitpid, child, &status, WNOHANG) == 0) {
    siginfo_t info = {};
    MUST(sigwaitinfo, &signals, &info);
    // What kill(2) has sent to this process alone. What the terminal sends,
    // such as Ctrl-C, the command gets itself. sigaction(2).
    if (info.si_code <= 0) kill(child, info.si_signo);
  }
  GiveTerminalTo(foreground);
  return ExitStatus(status);
}

void RunShell(pid_t pid, const std::string& prompt) {
  MUST(prctl, PR_SET_CHILD_SUBREAPER, 1);
  const std::vector<pid_t> spared = ChildrenOf(getpid());
  if (tcgetattr(STDIN_FILENO, &terminal.modes) == 0) {
    terminal.foreground = tcgetpgrp(STDIN_FILENO);
  }
  Process keeper = Process::Quiet().Clone("the keeper of the shell", 0);
  try {
    keeper.Run([pid, &prompt] { KeepShell(pid, prompt); }, Process::kForever);
  } catch (...) {
    KillDescendants(spared);
    ReclaimTerminal();
    throw;
  }
  terminal.foreground = -1;
}

std::vector<std::string> SecondTerminal(const std::string& lesson, pid_t pid,
                                        int flags) {
  std::string names;
  std::string links;
  std::string joined;
  std::string options;
  bool is_kind = false;  // Whether the lesson is about one that is joined.
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) == 0) continue;
    const std::string link =
        fmt::format(" /proc/{}/ns/{}", pid, kind.proc_name);
    names += fmt::format(" {}", kind.proc_name);
    links += link;
    options += fmt::format(" --{}", kind.name);
    // Without the PID namespace that a /proc is of, it is of little use.
    if (kind.name == lesson || kind.flag == CLONE_NEWPID) joined += link;
    is_kind = is_kind || kind.name == lesson;
  }
  if (flags == KnownFlags()) options = " --all";
  // nsenter may not change to uid 0 where only one's own uid is mapped.
  if ((flags & CLONE_NEWUSER) != 0) options += " --preserve-credentials";
  std::string look = "readlink" + links;
  if (look.size() > 75) {  // With the indent of a command, it would not fit.
    look = fmt::format("(cd /proc/{}/ns && readlink{})", pid, names);
  }
  std::vector<std::string> commands = {
      look, fmt::format("cat /proc/{}/uid_map", pid)};
  if (is_kind) commands.push_back("bazel run //lessons:setns --" + joined);
  commands.push_back(fmt::format("nsenter --target {}{}", pid, options));
  return commands;
}

}  // namespace steps
