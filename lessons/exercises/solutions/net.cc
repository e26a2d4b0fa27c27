// Exercise net: a network namespace in which lo is up, and a veth pair that
// links it to the host. ip(8) runs inside once the pair is there.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

static char stack[1024 * 1024];
static int ready[2];

static int Child(void*) {
  char byte = 0;
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) return 1;
  if (system("ip link set lo up") != 0) return 1;
  if (system("ip link set inside up") != 0) return 1;
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}

int main() {
  if (pipe(ready) == -1) return 1;
  const int flags = CLONE_NEWNET | SIGCHLD;
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  if (child == -1) {
    perror("clone");
    return 1;
  }
  close(ready[0]);
  char pair[128];
  snprintf(pair, sizeof pair,
           "ip link add outside type veth peer name inside netns %d", child);
  if (system(pair) != 0) return 1;
  if (system("ip link set outside up") != 0) return 1;
  if (write(ready[1], "x", 1) != 1) return 1;
  waitpid(child, nullptr, 0);
  return 0;
}
