// Exercise pid: be PID 1.
//
// The child says which PID it has, and becomes a shell. As it stands, it
// is an ordinary PID. Fill the hole so that it is 1.
//
//   g++ -std=c++17 -o pid pid.cc
//   bazel run //lessons:check -- --exercise pid ./pid

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  printf("My PID is %d.\n", getpid());
  fflush(stdout);
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}

int main() {
  const int flags = SIGCHLD;  // HOLE: a flag is missing.
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  if (child == -1) {
    perror("clone");
    return 1;
  }
  waitpid(child, nullptr, 0);
  return 0;
}
