// Exercise container: all of it together, in a container of your own.

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

static char stack[1024 * 1024];

static void Must(long result, const char* call) {
  if (result != -1) return;
  perror(call);
  _exit(1);
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

static int Child(void*) {
  Must(sethostname("container_001", 13), "sethostname");
  ChangeRoot();
  ifreq lo = {{"lo"}, {}};
  lo.ifr_flags = IFF_UP;
  Must(ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &lo), "lo");
  Must(execlp("sh", "sh", nullptr), "execlp");
  return 0;
}

int main() {
  const int flags = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNS |
                    CLONE_NEWNET | SIGCHLD;
  const pid_t child = clone(Child, stack + sizeof stack, flags, nullptr);
  Must(child, "clone");
  waitpid(child, nullptr, 0);
  return 0;
}
