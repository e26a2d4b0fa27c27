// Exercise container: a container of your own.
//
// All of it together. Fill the hole: what makes up a container?
//
//   g++ -std=c++17 -o container container.cc
//   bazel run //lessons:check -- --exercise container ./container

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

static char stack[1024 * 1024];

static void Must(long result, const char* call) {
  if (result != -1) return;
  perror(call);
  exit(1);
}

static void ChangeRoot() {
  Must(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private");
  Must(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), "mount tmpfs");
  Must(chdir("/mnt"), "chdir");
  Must(mkdir("proc", 0755), "mkdir proc");
  Must(mkdir("usr", 0755), "mkdir usr");
  Must(mount("/usr", "usr", nullptr, MS_BIND | MS_REC, nullptr), "bind /usr");
  Must(symlink("usr/bin", "bin"), "symlink bin");
  Must(symlink("usr/lib", "lib"), "symlink lib");
  Must(symlink("usr/lib64", "lib64"), "symlink lib64");
  Must(mount("proc", "proc", "proc", 0, nullptr), "mount proc");
  Must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  Must(umount2(".", MNT_DETACH), "umount2");
  Must(chdir("/"), "chdir");
}

// Runs a program, such as ip(8), and waits for it. 0 where it succeeds.
template <typename... Words>
static int Run(const char* program, Words... words) {
  const pid_t pid = fork();
  Must(pid, "fork");
  if (pid == 0) {
    execlp(program, program, words..., nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

static int Child(void*) {
  Must(sethostname("container_001", 13), "sethostname");
  ChangeRoot();
  Must(Run("ip", "link", "set", "lo", "up") == 0 ? 0 : -1, "ip link");
  Must(execlp("sh", "sh", nullptr), "execlp");
  return 0;
}

int main() {
  const int flags = CLONE_NEWUTS | CLONE_NEWNS | SIGCHLD;  // HOLE: and more.
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  Must(child, "clone");
  waitpid(child, nullptr, 0);
  return 0;
}
