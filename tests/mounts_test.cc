#include "common/mounts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/evidence.h"
#include "common/user_namespace.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::MatchesRegex;

void Change(const std::string& point, unsigned long propagation) {
  Check(mount(nullptr, point.c_str(), nullptr, propagation, nullptr),
        "mount(\"{}\", {})", point, MountFlags(propagation));
}

// Mounts a tmpfs on /mnt; what stat(2) calls its device.
std::string MountTmpfs() {
  Check(mount("none", "/mnt", "tmpfs", 0, nullptr), "mount(\"/mnt\")");
  struct stat status = {};
  Check(stat("/mnt", &status), "stat(\"/mnt\")");
  return fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
}

// Where mounts are nobody else's.
void InMountNamespace(const std::function<void()>& body) {
  InChild([&] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
    Change("/", MS_REC | MS_PRIVATE);
    body();
  });
}

TEST(MountsIn, GivesTheFieldsOfEachLine) {
  const std::vector<Mount> mounts = MountsIn(
      "39 31 0:36 /a /cgroup/pids rw,relatime shared:1 master:2 - cgroup none "
      "rw,pids\n"
      "23 1 0:21 / / rw - ext4 /dev/vda ro\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].device, "0:36");
  EXPECT_EQ(mounts[0].root, "/a");
  EXPECT_EQ(mounts[0].point, "/cgroup/pids");
  EXPECT_EQ(mounts[0].tags, "shared:1 master:2");
  EXPECT_EQ(mounts[0].type, "cgroup");
  EXPECT_EQ(mounts[0].options, "rw,pids");
  EXPECT_EQ(mounts[1].root, "/");
  EXPECT_EQ(mounts[1].tags, "");
  EXPECT_EQ(mounts[1].options, "ro");
}

TEST(MountOn, IsTheUpperOfTwo) {
  InMountNamespace([] {
    const std::string lower = MountTmpfs();
    EXPECT_EQ(MountOn("/mnt").value().device, lower);
    EXPECT_EQ(MountOn("/mnt").value().type, "tmpfs");
    const std::string upper = MountTmpfs();
    EXPECT_NE(upper, lower);
    EXPECT_EQ(MountOn("/mnt").value().device, upper);
  });
}

TEST(MountOn, IsNothingWhereNothingIsMounted) {
  EXPECT_EQ(MountOn("/proc/self"), std::nullopt);
}

TEST(FromMount, NamesTheFileSystem) {
  InMountNamespace([] {
    const std::string device = MountTmpfs();
    const Finding finding = FromMount("/mnt");
    EXPECT_EQ(finding.probe, "/mnt");
    EXPECT_EQ(finding.value, device + " tmpfs");
    EXPECT_EQ(finding.source, "/proc/self/mountinfo");
  });
  EXPECT_EQ(FromMount("/proc/self").value, "no mount");
}

TEST(FromPropagation, GivesTheTags) {
  InMountNamespace([] {
    MountTmpfs();
    EXPECT_EQ(FromPropagation("/mnt").value, "no tag");
    Change("/mnt", MS_SHARED);
    const std::string shared = FromPropagation("/mnt").value;
    EXPECT_THAT(shared, MatchesRegex("shared:[0-9]+"));

    // A slave whose master is gone is private: a copy of it has to stay.
    Check(mkdir("/mnt/copy", 0700), "mkdir(\"/mnt/copy\")");
    Check(mount("/mnt", "/mnt/copy", nullptr, MS_BIND, nullptr),
          "mount(MS_BIND)");
    const std::string master = "master:" + shared.substr(shared.find(':') + 1);
    Change("/mnt", MS_SLAVE);
    EXPECT_EQ(FromPropagation("/mnt").value, master);
    Change("/mnt", MS_SHARED);
    EXPECT_THAT(FromPropagation("/mnt").value,
                MatchesRegex("shared:[0-9]+ " + master));
    EXPECT_EQ(MountOn("/mnt").value().type, "tmpfs");
  });
}

TEST(MountFlags, AreInTheCallsOwnWords) {
  EXPECT_EQ(MountFlags(0), "0");
  EXPECT_EQ(MountFlags(MS_REC | MS_PRIVATE), "MS_REC | MS_PRIVATE");
  EXPECT_EQ(MountFlags(MS_NOSUID | MS_NODEV | MS_NOEXEC),
            "MS_NOSUID | MS_NODEV | MS_NOEXEC");
  EXPECT_EQ(MountFlags(MS_BIND | (1UL << 30)), "MS_BIND | 0x40000000");
}

}  // namespace
}  // namespace steps
