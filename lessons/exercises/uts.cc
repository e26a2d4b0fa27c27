// Exercise uts: rename yourself, and not the host.
//
// The child changes the hostname and becomes a shell. As it stands, the
// host is renamed with it. Fill the hole so that the name is the child's
// alone.
//
//   g++ -std=c++17 -o uts uts.cc
//   bazel run //lessons:check -- --exercise uts ./uts

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  if (sethostname("container_001", 13) == -1) {
    perror("sethostname");
    return 1;
  }
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
