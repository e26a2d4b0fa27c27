// Exercise user: root without root. In its new user namespace, the ordinary
// user who runs this is mapped to 0; that takes two maps, and no
// setgroups(2).

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
  Write("/proc/self/setgroups", "deny");
  Write("/proc/self/gid_map", gid_map);
  Write("/proc/self/uid_map", uid_map);
  execlp("sh", "sh", nullptr);
  perror("execlp");
  return 1;
}
