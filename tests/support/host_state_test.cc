#include "tests/support/host_state.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/program.h"
#include "tests/support/refusals.h"

namespace steps {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

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
  struct Case {
    std::string difference;
    std::function<void()> change;
  };
  const std::string cgroups = CgroupPoint();
  const Case cases[] = {
      {"changed: hostname: ", [] { MUST(sethostname, "new", 3); }},
      {"changed: domain name: ", [] { MUST(setdomainname, "new", 3); }},
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
      // No cgroup can be made that is not the machine's: here a tmpfs stands in
      // for the file system.
      {cgroups.empty() ? "" : "new: cgroup " + cgroups + "/steps-left\n", [&] {
         if (!cgroups.empty()) fs::create_directory(cgroups + "/steps-left");
       }}};
  for (const auto& [difference, change] : cases) {
    InChild([&, expected = difference, make = change] {
      EnterPrivateMounts();
      MUST(unshare, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
      for (const char* point : {"/tmp", "/dev/shm", kCgroups.c_str()}) {
        if (fs::exists(point)) MountTmpfs(point);
      }
      if (!cgroups.empty()) fs::create_directories(cgroups);
      const HostState before = LookAtHost();
      EXPECT_THAT(Difference(before, LookAtHost()), IsEmpty());
      make();
      EXPECT_THAT(Difference(before, LookAtHost()), HasSubstr(expected));
    });
  }
}

}  // namespace
}  // namespace steps
