// Exercise init: an init that reaps.
//
// PID 1 runs a shell. Another child of its leaves orphans behind, which
// PID 1 adopts. As it stands, what has ended stays a zombie. Fill the
// hole so that PID 1 reaps every process that ends, until its shell ends.
//
//   g++ -std=c++17 -o init init.cc
//   bazel run //lessons:check -- --exercise init ./init

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
  // HOLE: wait for more than the shell.
  waitpid(shell, nullptr, 0);
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
