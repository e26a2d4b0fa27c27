// Exercise mount: private against shared mounts.
//
// The child mounts a tmpfs on /mnt and becomes a shell. The host must not
// get the tmpfs; but what the host mounts later, such as a USB stick,
// must arrive in the child. As it stands, mounts pass both ways.
//
//   g++ -std=c++17 -o mount mount.cc
//   bazel run //lessons:check -- --exercise mount ./mount

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  // HOLE: receive mounts, and pass on none.
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
