// Exercise proc: a /proc that fits the new PID namespace, while the host
// keeps its own. What is mounted on a shared mount reaches all of its
// peers: make every mount private first.

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == -1) {
    perror("mount /");
    return 1;
  }
  if (mount("proc", "/proc", "proc", 0, nullptr) == -1) {
    perror("mount /proc");
    return 1;
  }
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}

int main() {
  const int flags = CLONE_NEWPID | CLONE_NEWNS | SIGCHLD;
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  if (child == -1) {
    perror("clone");
    return 1;
  }
  waitpid(child, nullptr, 0);
  return 0;
}
