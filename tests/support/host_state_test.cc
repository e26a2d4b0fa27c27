#include "tests/support/host_state.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "tests/support/test.h"

namespace steps {
namespace {

const std::string kCgroups = "/sys/fs/cgroup";

// Where there a file system of cgroups is mounted, or "".
std::string CgroupPoint() {
  for (const Mount& mount : MountsIn(ReadFile("/proc/self/mountinfo"))) {
    if (mount.type.starts_with("cgroup") && mount.point.starts_with(kCgroups)) {
      return mount.point;
    }
  }
  return "";
}

TEST(HostState, SeesEveryChange) {
  const std::string cgroups = CgroupPoint();
  const auto inode = NamespacesOf(getpid()).at(CLONE_NEWPID).inode;
  const std::string left = fmt::format("{}/steps-99999999-{}", cgroups, inode);
  const std::vector<std::pair<std::string, Before>> cases = {
      {"new: hostname new\n", [] { MUST(sethostname, "new", 3); }},
      {"new: domain new\n", [] { MUST(setdomainname, "new", 3); }},
      {"new: /proc/self/mountinfo ", [] { MountTmpfs("/tmp"); }},
      {"gone: /proc/self/mountinfo ",
       [] { MUST(umount2, "/tmp", MNT_DETACH); }},
      {"shared:",
       [] { MUST(mount, "none", "/tmp", nullptr, MS_SHARED, nullptr); }},
      {"new: /proc/sysvipc/msg ", [] { MUST(msgget, IPC_PRIVATE, 0600); }},
      {"new: /proc/sysvipc/sem ", [] { MUST(semget, IPC_PRIVATE, 1, 0600); }},
      {"new: /proc/sysvipc/shm ", [] { MUST(shmget, IPC_PRIVATE, 1, 0600); }},
      {"new: /proc/self/net/dev left0:",
       [] {
         RunTool(
             {"ip", "link", "add", "left0", "type", "veth", "peer", "right0"});
       }},
      {"new: /tmp/left\n", [] { Open("/tmp/left", O_CREAT | O_WRONLY, 0600); }},
      {"new: /dev/shm/left\n",
       [] { Open("/dev/shm/left", O_CREAT | O_WRONLY, 0600); }},
      {"new: process ",
       [] { static Process child = Process::Quiet().Clone("child", 0); }},
      // Any cgroup would be the machine's: a tmpfs stands in for them.
      {cgroups.empty() ? "" : "new: cgroup " + left + "\n", [&] {
         if (!cgroups.empty()) fs::create_directory(left);
       }}};
  for (const auto& [difference, change] : cases) {
    InChild([&, expected = difference, make = change] {
      EnterPrivateMounts();
      MUST(unshare, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
      for (const char* point : {"/tmp", "/dev/shm", kCgroups.c_str()}) {
        if (fs::exists(point)) MountTmpfs(point);
      }
      if (!cgroups.empty()) fs::create_directories(cgroups);
      const std::string before = LookAtHost();
      // Those of others: of a process that lives, and of one elsewhere.
      if (!cgroups.empty()) {
        fs::create_directory(fmt::format("{}/steps-1-{}", cgroups, inode));
        fs::create_directory(cgroups + "/steps-99999999-1");
      }
      EXPECT_THAT(Difference(before, LookAtHost()), IsEmpty());
      make();
      EXPECT_THAT(Difference(before, LookAtHost()), HasSubstr(expected));
    });
  }
}

}  // namespace
}  // namespace steps
