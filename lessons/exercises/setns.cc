// Exercise setns: join a UTS namespace that exists.
//
// The last argument is the link of a UTS namespace, such as
// /proc/4711/ns/uts. Join it, and become a shell there. As it stands, the
// shell is on the host.
//
//   g++ -std=c++17 -o setns setns.cc
//   bazel run //lessons:check -- --exercise setns ./setns

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
  // HOLE: join the namespace.
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}
