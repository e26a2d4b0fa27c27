// Exercise net: a network namespace in which lo is up, and a veth pair that
// links it to the host. ip(8) runs inside once the pair is there.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

static char stack[1024 * 1024];
static int ready[2];

// Runs a program, such as ip(8), and waits for it. 0 where it succeeds.
template <typename... Words>
static int Run(const char* program, Words... words) {
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    execlp(program, program, words..., nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

static int Child(void*) {
  char byte = 0;
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) return 1;
  if (Run("ip", "link", "set", "lo", "up") != 0) return 1;
  if (Run("ip", "link", "set", "inside", "up") != 0) return 1;
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
  const std::string netns = std::to_string(child);
  if (Run("ip", "link", "add", "outside", "type", "veth", "peer", "name",
          "inside", "netns", netns.c_str()) != 0) {
    return 1;
  }
  if (Run("ip", "link", "set", "outside", "up") != 0) return 1;
  if (write(ready[1], "x", 1) != 1) return 1;
  waitpid(child, nullptr, 0);
  return 0;
}
