// Exercise setns: join the UTS namespace whose link is the last argument,
// and go on in it. setns(2) moves the process that calls it.

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: setns /proc/PID/ns/uts\n");
    return 1;
  }
  const int link = open(argv[argc - 1], O_RDONLY | O_CLOEXEC);
  if (link == -1) {
    perror("open");
    return 1;
  }
  if (setns(link, CLONE_NEWUTS) == -1) {
    perror("setns");
    return 1;
  }
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}
