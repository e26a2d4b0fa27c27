// Exercise unshare: move yourself to a new UTS namespace, and have a child
// that is PID 1. unshare(2) moves its caller, but a PID never changes: of a
// new PID namespace, the next child is the first process.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main() {
  if (unshare(CLONE_NEWUTS | CLONE_NEWPID) == -1) {
    perror("unshare");
    return 1;
  }
  const pid_t child = fork();
  if (child == -1) {
    perror("fork");
    return 1;
  }
  if (child == 0) {
    execlp("sh", "sh", nullptr);
    perror("execlp");
    _exit(1);
  }
  waitpid(child, nullptr, 0);
  return 0;
}
