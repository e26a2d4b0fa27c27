#include "common/shell.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/namespaces.h"
#include "common/tool.h"

namespace steps {
namespace {

// Kills what descends from this process, a subreaper, except for `spared`. The
// children of what is killed become children here: hence the loop.
void KillDescendants(pid_t spared) {
  bool found = true;
  while (found) {
    found = false;
    for (const pid_t pid : ChildrenOf(getpid())) {
      if (pid == spared || kill(pid, SIGKILL) == -1) continue;
      found = true;
      Check(waitpid(pid, nullptr, 0), "waitpid({})", pid);
    }
  }
}

// Joins the namespaces `flags` of `process`. setns(2).
void Join(const Descriptor& process, int flags) {
  Check(setns(process.get(), flags), "setns({}, {})", process.get(),
        CloneFlags(flags));
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
  // SIGTERM instead of Child's SIGKILL leaves the time to do it.
  Check(prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl(PR_SET_PDEATHSIG, SIGTERM)");

  // Through syscall(2): glibc 2.36 declares pidfd_open() for C only.
  const Descriptor process(static_cast<int>(
      Check(syscall(SYS_pidfd_open, pid, 0), "pidfd_open({}, 0)", pid)));
  // Of a PID namespace the children of whoever joins it become members. For
  // them `pid` is another process, or none.
  const int in_children = flags & CLONE_NEWPID;
  if (in_children != 0) Join(process, in_children);
  Child shell([&](Line&) {
    if (flags != in_children) Join(process, flags & ~in_children);
    BecomeShell(prompt);
  });
  shell.Fork();
  shell.Receive();  // Throws what went wrong before bash had begun.

  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  siginfo_t info = {};
  while (info.si_pid == 0) {
    int signal = 0;
    sigwait(&awaited, &signal);
    if (signal == SIGTERM) break;
    Check(waitid(P_PID, shell.pid(), &info, WEXITED | WNOHANG | WNOWAIT),
          "waitid({})", shell.pid());
  }
  if (info.si_pid == 0) {
    Check(kill(shell.pid(), SIGKILL), "kill({}, SIGKILL)", shell.pid());
  }
  // The exit status of a shell is that of the last command typed into it.
  static_cast<void>(shell.Wait());
  KillDescendants(-1);
}

}  // namespace

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

void RunShell(pid_t pid, int flags, const std::string& prompt) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER, 1)");
  Child keeper([&](Line&) { KeepShell(pid, flags, prompt); });
  keeper.Fork();
  try {
    keeper.Finish();
  } catch (...) {
    KillDescendants(pid);
    throw;
  }
}

std::vector<std::string> SecondTerminal(const std::string& lesson, pid_t pid,
                                        int flags) {
  std::vector<std::string> joins;
  std::string nsenter = fmt::format("nsenter --target {}", pid);
  std::string links;
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) == 0) continue;
    nsenter += fmt::format(" --{}", kind.name);
    const std::string link = fmt::format("/proc/{}/ns/{}", pid, kind.proc_name);
    links += " " + link;
    if (kind.name == lesson) {
      joins.push_back("bazel run //lessons:setns -- " + link);
    }
    // nsenter may not change to uid 0 where only one's own uid is mapped.
    if (kind.flag == CLONE_NEWUSER) nsenter += " --preserve-credentials";
  }
  joins.push_back(nsenter);
  std::vector<std::string> commands = {
      "readlink" + links, fmt::format("cat /proc/{}/uid_map", pid)};
  commands.insert(commands.end(), joins.begin(), joins.end());
  return commands;
}

}  // namespace steps
