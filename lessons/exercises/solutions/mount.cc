// Exercise mount: a tmpfs on /mnt that the host does not see, while what
// the host mounts later still arrives. A slave receives, and passes nothing
// back.

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  if (mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) == -1) {
    perror("mount /");
    return 1;
  }
  if (mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) == -1) {
    perror("mount /mnt");
    return 1;
  }
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}

int main() {
  const int flags = CLONE_NEWNS | SIGCHLD;
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  if (child == -1) {
    perror("clone");
    return 1;
  }
  waitpid(child, nullptr, 0);
  return 0;
}
