// Exercise proc: a /proc that fits, without breaking the host's.
//
// The child, PID 1, mounts a new proc and becomes a shell, in which ps(1)
// is to list only its own processes. As it stands, the host gets that
// /proc, too: every mount of a machine with systemd is shared.
//
//   g++ -std=c++17 -o proc proc.cc
//   bazel run //lessons:check -- --exercise proc ./proc

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static int Child(void*) {
  // HOLE: what is mounted here has to stay here.
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
