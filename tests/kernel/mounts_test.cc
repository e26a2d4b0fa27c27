#include "common/kernel/mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "tests/support/program.h"
#include "tests/support/refusals.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;
using testing::MatchesRegex;

void Change(const std::string& point, unsigned long propagation) {
  MUST(mount, nullptr, point.c_str(), nullptr, propagation, nullptr);
}

void MountOnMnt() { MUST(mount, "none", "/mnt", "tmpfs", 0, nullptr); }

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
  EXPECT_THAT(MountsIn("39 31 0:36 /a /cgroup/pids rw,relatime shared:1 "
                       "master:2 - cgroup none "
                       "rw,pids\n"
                       "23 1 0:21 / / rw - ext4 /dev/vda ro\n"),
              ElementsAre(FieldsAre("0:36", "/a", "/cgroup/pids",
                                    "shared:1 master:2", "cgroup", "rw,pids"),
                          FieldsAre("0:21", "/", "/", "", "ext4", "ro")));
}

TEST(MountedOn, ShowsTheUpperOfTwoFirst) {
  InMountNamespace([] {
    MountOnMnt();
    MUST(mount, "none", "/mnt", "ramfs", 0, nullptr);
    EXPECT_EQ(MountedOn("/mnt"), "ramfs over tmpfs");
  });
  EXPECT_EQ(MountedOn("/proc/self"), "nothing");
}

TEST(PropagationOf, SaysWhatBecomesOfNewMounts) {
  InMountNamespace([] {
    MountOnMnt();
    EXPECT_EQ(PropagationOf("/mnt"), "none (private)");
    Change("/mnt", MS_SHARED);
    EXPECT_THAT(PropagationOf("/mnt"),
                MatchesRegex("shared:[0-9]+ \\(peers\\)"));
    // A slave whose master is gone is private: a copy of it has to stay.
    MUST(mkdir, "/mnt/copy", 0700);
    MUST(mount, "/mnt", "/mnt/copy", nullptr, MS_BIND, nullptr);
    Change("/mnt", MS_SLAVE);
    EXPECT_THAT(PropagationOf("/mnt"),
                MatchesRegex("master:[0-9]+ \\(slave\\)"));
  });
}

TEST(MountTmpfs, NoticesThatNothingWasMounted) {
  for (const bool lies : {false, true}) {
    InMountNamespace([lies] {
      Change("/", MS_REC | MS_SHARED);
      if (lies) {
        FilterCalls({{SYS_mount, 0}});  // It answers 0, and does nothing.
        EXPECT_THROW(MountTmpfs("/mnt"), std::runtime_error);
        EXPECT_THROW(MakeMountsPrivate(), std::runtime_error);
      } else {
        MountTmpfs("/mnt");
        EXPECT_EQ(MountedOn("/mnt"), "tmpfs");
        MakeMountsPrivate();
        EXPECT_EQ(PropagationOf("/"), "none (private)");
      }
    });
  }
}

}  // namespace
}  // namespace steps
