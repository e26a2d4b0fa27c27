// Exercise init: PID 1 adopts the orphans of its namespace. It waits for
// any child, in a loop, until its shell has ended.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

// A child that leaves orphans behind, which end at once.
static void LeaveOrphans() {
  const pid_t parent = fork();
  if (parent != 0) return;
  fork();
  fork();
  _exit(0);
}

static int Init(void*) {
  const pid_t shell = fork();
  if (shell == 0) {
    execlp("sh", "sh", nullptr);
    _exit(1);
  }
  LeaveOrphans();
  pid_t ended = 0;
  do {
    ended = wait(nullptr);
  } while (ended != shell && ended != -1);
  return 0;
}

int main() {
  const int flags = CLONE_NEWPID | SIGCHLD;
  const pid_t child = clone(Init, stack + sizeof stack, flags, nullptr);
  if (child == -1) {
    perror("clone");
    return 1;
  }
  waitpid(child, nullptr, 0);
  return 0;
}
