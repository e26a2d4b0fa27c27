// Exercise pivot_root: another root, and no way back.
//
// The child makes a root with nothing but /usr in it, and becomes a shell
// there. As it stands, it goes there by chroot(2), which root can leave
// again. Fill the hole with pivot_root(2), and unmount the old root.
//
//   g++ -std=c++17 -o pivot_root pivot_root.cc
//   bazel run //lessons:check -- --exercise pivot_root ./pivot_root

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

static int Child(void*) {
  Must(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private");
  Must(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), "mount tmpfs");
  Must(chdir("/mnt"), "chdir");
  Must(mkdir("usr", 0755), "mkdir usr");
  Must(mount("/usr", "usr", nullptr, MS_BIND | MS_REC, nullptr), "bind /usr");
  Must(symlink("usr/bin", "bin"), "symlink bin");
  Must(symlink("usr/lib", "lib"), "symlink lib");
  Must(symlink("usr/lib64", "lib64"), "symlink lib64");
  Must(chroot("."), "chroot");  // HOLE: two other calls.
  Must(chdir("/"), "chdir");
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}

int main() {
  const int flags = CLONE_NEWNS | SIGCHLD;
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  Must(child, "clone");
  waitpid(child, nullptr, 0);
  return 0;
}
