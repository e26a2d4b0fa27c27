// Exercise unshare: move yourself; for a PID, send a child.
//
// The program moves itself to a new UTS namespace, and asks for a new PID
// namespace. As it stands, the shell is not PID 1 there. Fill the hole,
// so that it is.
//
//   g++ -std=c++17 -o unshare unshare.cc
//   bazel run //lessons:check -- --exercise unshare ./unshare

#include <sched.h>
#include <unistd.h>

#include <cstdio>

int main() {
  if (unshare(CLONE_NEWUTS | CLONE_NEWPID) == -1) {
    perror("unshare");
    return 1;
  }
  // HOLE: which process is PID 1 of the new PID namespace?
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}
