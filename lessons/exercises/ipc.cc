// Exercise ipc: a message queue that only you can see.
//
// The child makes a queue and becomes a shell. As it stands, ipcs(1)
// lists the queue on the host, too. Fill the hole so that the queue is
// the child's alone.
//
//   g++ -std=c++17 -o ipc ipc.cc
//   bazel run //lessons:check -- --exercise ipc ./ipc

#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  if (msgget(IPC_PRIVATE, 0600) == -1) {
    perror("msgget");
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
