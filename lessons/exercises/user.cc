// Exercise user: root without root.
//
// An ordinary user runs this, and is to be uid 0 and gid 0 inside, in a
// shell that has all capabilities there. As it stands, the user inside is
// 65534, nobody. Three files in /proc/self are to be written, in the
// right order.
//
//   g++ -std=c++17 -o user user.cc
//   bazel run //lessons:check -- --exercise user ./user

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

static void Write(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file == -1 || write(file, text, strlen(text)) == -1) {
    perror(path);
    exit(1);
  }
  close(file);
}

int main() {
  char uid_map[32];
  char gid_map[32];
  snprintf(uid_map, sizeof uid_map, "0 %u 1", getuid());
  snprintf(gid_map, sizeof gid_map, "0 %u 1", getgid());
  if (unshare(CLONE_NEWUSER) == -1) {
    perror("unshare");
    return 1;
  }
  // HOLE: write the maps. Write(path, text) does one.
  (void)uid_map;
  (void)gid_map;
  (void)Write;
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}
