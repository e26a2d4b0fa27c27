// The PID 1 of a container.

#include "lessons/container/init.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "common/kernel/call.h"
#include "common/kernel/process.h"

namespace steps {

int NextSignal(bool end) {
  sigset_t all;
  sigfillset(&all);
  const timespec patience = {.tv_sec = 2, .tv_nsec = 0};
  siginfo_t info = {};
  while (sigtimedwait(&all, &info, end ? &patience : nullptr) == -1) {
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) throw CallError(errno, "sigtimedwait()");
  }
  return info.si_signo;
}

pid_t Reap(int& status) {
  while (true) {
    const pid_t ended = waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (ended <= 0) return 0;
    if (!WIFSTOPPED(status)) return ended;
    kill(-ended, SIGCONT);
  }
}

void ReapAll() {
  while (waitpid(-1, nullptr, 0) != -1) {
  }
}

void PassOnSignal(pid_t command) {
  int signal = SIGCHLD;
  while (signal == SIGCHLD) signal = NextSignal(true);
  Call call = {
      .text = fmt::format("kill({}, {})", command, SignalName(signal)),
      .result = kill(command, signal)};
  if (call.result == -1) call.error = errno;
  TellCall(call);
}

int RunInit(pid_t command) {
  while (true) {
    const int signal = NextSignal(false);
    if (signal != SIGCHLD) {
      kill(command, signal);
      continue;
    }
    int status = 0;
    for (pid_t ended = 0; (ended = Reap(status)) != 0;) {
      if (ended == command) return ExitStatus(status);
    }
  }
}

}  // namespace steps
