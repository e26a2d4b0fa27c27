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

// Runs ip(8) with these words. False where it fails.
template <typename... Words>
static bool Ip(Words... words) {
  const pid_t pid = fork();
  if (pid == 0) execlp("ip", "ip", words..., nullptr);
  if (pid == 0) _exit(127);
  int status = -1;
  return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int Child(void*) {
  char byte = 0;
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) return 1;
  if (!Ip("link", "set", "lo", "up")) return 1;
  if (!Ip("link", "set", "inside", "up")) return 1;
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
  if (!Ip("link", "add", "outside", "type", "veth", "peer", "name", "inside",
          "netns", std::to_string(child).c_str())) {
    return 1;
  }
  if (!Ip("link", "set", "outside", "up")) return 1;
  if (write(ready[1], "x", 1) != 1) return 1;
  waitpid(child, nullptr, 0);
  return 0;
}
