#include "common/program/shell.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

// Kills what descends from this process, a subreaper, except for the children
// `spared`. The children of what is killed become children here: hence the
// loop.
void KillDescendants(const std::vector<pid_t>& spared) {
  bool found = true;
  while (found) {
    found = false;
    for (const pid_t pid : ChildrenOf(getpid())) {
      if (std::ranges::find(spared, pid) != spared.end()) continue;
      if (kill(pid, SIGKILL) == -1) continue;
      found = true;
      Check(waitpid(pid, nullptr, 0), "waitpid({})", pid);
    }
  }
}

// Joins the namespaces `flags` of a process. setns(2).
void Join(const Descriptor& process, int flags) {
  MUST(setns, process.get(), flags);
}

// Starts a child for `body`, which becomes another program. Where it cannot, it
// says so and ends.
template <typename Body>
pid_t Fork(const Body& body) {
  const pid_t pid = MUST(fork);
  if (pid != 0) return pid;
  try {
    Check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl(PR_SET_PDEATHSIG)");
    body();
  } catch (const std::exception& error) {
    Complain(fmt::format("{}\n", error.what()));
  }
  _exit(EXIT_FAILURE);
}

// Stays beside the shell until it ends or the lesson is killed; then ends what
// the shell has left running.
void KeepShell(pid_t pid, int flags, const std::string& prompt) {
  // No signal may end this process before its work is done: neither Ctrl-C nor
  // the SIGHUP of a terminal that goes away.
  sigset_t all;
  sigfillset(&all);
  Check(sigprocmask(SIG_BLOCK, &all, nullptr), "sigprocmask(SIG_BLOCK)");
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER, 1)");
  // SIGTERM instead of SIGKILL leaves the time to do it.
  Check(prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl(PR_SET_PDEATHSIG, SIGTERM)");

  // Which process group has the terminal: -1 where there is none.
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);

  // Opened here: inside a PID namespace `pid` would be another process, or
  // none. Through syscall(2): glibc 2.36 declares pidfd_open() for C only.
  const Descriptor process(static_cast<int>(
      Check(syscall(SYS_pidfd_open, pid, 0), "pidfd_open({}, 0)", pid)));
  // Of a PID namespace, the children of a process that joins it are members.
  const int in_children = flags & CLONE_NEWPID;
  if (in_children != 0) Join(process, in_children);
  const pid_t shell = Fork([&] {
    if (flags != in_children) Join(process, flags & ~in_children);
    BecomeShell(prompt);
  });

  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  siginfo_t info = {};
  while (info.si_pid == 0) {
    int signal = 0;
    sigwait(&awaited, &signal);
    if (signal == SIGTERM) break;
    Check(waitid(P_PID, shell, &info, WEXITED | WNOHANG | WNOWAIT),
          "waitid({})", shell);
  }
  if (info.si_pid == 0) {
    Check(kill(shell, SIGKILL), "kill({}, SIGKILL)", shell);
  }
  // The exit status of a shell is that of the last command typed into it.
  Check(waitpid(shell, nullptr, 0), "waitpid({})", shell);
  KillDescendants({});
  GiveTerminalTo(foreground);
}

}  // namespace

void GiveTerminalTo(pid_t foreground) {
  // From inside a PID namespace bash cannot: it has no number for that group.
  // Without it, the program that runs the lesson would be stopped at the next
  // read.
  if (foreground == -1) return;
  // What the background has to fear from the terminal. tcsetpgrp(3).
  std::signal(SIGTTOU, SIG_IGN);
  // It fails where the terminal is gone, too, and then nobody reads.
  tcsetpgrp(STDIN_FILENO, foreground);
}

void BecomeShell(const std::string& prompt) {
  sigset_t none;
  sigemptyset(&none);
  Check(sigprocmask(SIG_SETMASK, &none, nullptr), "sigprocmask(SIG_SETMASK)");
  Check(setenv("PS1", prompt.c_str(), 1), "setenv(\"PS1\")");
  // The reader's own start-up files would replace the prompt, and the reader's
  // own history would keep what is typed here.
  Check(setenv("HISTFILE", "", 1), "setenv(\"HISTFILE\", \"\")");
  execvp("bash", ExecArguments({"bash", "--norc"}).data());
  throw CallError(errno, "execvp(\"bash\")");
}

int BecomeCommand(const std::vector<std::string>& command,
                  const std::string& prompt) {
  if (command.empty()) BecomeShell(prompt);
  execvp(command[0].c_str(), ExecArguments(command).data());
  const int error = errno;
  if (error == ENOENT) {
    Complain(fmt::format("{}: there is no such command\n", command[0]));
    return 127;
  }
  Complain(fmt::format("{}: cannot be run: {} ({})\n", command[0],
                       strerror(error), ErrnoName(error)));
  return 126;
}

int AwaitCommand(const std::vector<std::string>& command,
                 const std::string& prompt) {
  // What is typed is the command's to obey, or not. system(3).
  const auto on_keys = [](auto* handler) {
    std::signal(SIGINT, handler);
    std::signal(SIGQUIT, handler);
  };
  // Which process group has the terminal: -1 where there is none.
  const pid_t foreground = tcgetpgrp(STDIN_FILENO);
  const pid_t pid = Fork([&] { _exit(BecomeCommand(command, prompt)); });
  on_keys(SIG_IGN);
  int status = 0;
  while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  GiveTerminalTo(foreground);
  return ExitStatus(status);
}

void RunShell(pid_t pid, int flags, const std::string& prompt) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER, 1)");
  const std::vector<pid_t> spared = ChildrenOf(getpid());
  Process keeper = Process::Quiet().Clone("the keeper of the shell", 0);
  try {
    keeper.Run([pid, flags, &prompt] { KeepShell(pid, flags, prompt); },
               std::nullopt);
  } catch (...) {
    KillDescendants(spared);
    throw;
  }
}

std::vector<std::string> SecondTerminal(const std::string& lesson, pid_t pid,
                                        int flags) {
  std::vector<std::string> joins;
  bool is_kind = false;  // Whether the lesson is about one that is joined.
  std::string setns = "bazel run //lessons:setns --";
  std::string nsenter = fmt::format("nsenter --target {}", pid);
  std::string links;
  std::string names;
  int all = 0;
  for (const Kind& kind : Kinds()) {
    all |= kind.flag;
    if ((flags & kind.flag) == 0) continue;
    nsenter += fmt::format(" --{}", kind.name);
    const std::string link = fmt::format("/proc/{}/ns/{}", pid, kind.proc_name);
    links += " " + link;
    names += fmt::format(" {}", kind.proc_name);
    // Without the PID namespace that a /proc is of, it is of little use.
    if (kind.name == lesson || kind.flag == CLONE_NEWPID) setns += " " + link;
    if (kind.name == lesson) is_kind = true;
    // nsenter may not change to uid 0 where only one's own uid is mapped.
    if (kind.flag == CLONE_NEWUSER) nsenter += " --preserve-credentials";
  }
  // So many would be wider than the screen, on which they are indented by five.
  constexpr std::size_t kWidest = 75;
  std::string readlink = "readlink" + links;
  if (readlink.size() > kWidest) {
    readlink = fmt::format("(cd /proc/{}/ns && readlink{})", pid, names);
  }
  if (flags == all) {
    nsenter =
        fmt::format("nsenter --target {} --all --preserve-credentials", pid);
  }
  if (is_kind) joins.push_back(setns);
  joins.push_back(nsenter);
  std::vector<std::string> commands = {
      readlink, fmt::format("cat /proc/{}/uid_map", pid)};
  commands.insert(commands.end(), joins.begin(), joins.end());
  return commands;
}

}  // namespace steps
