#include "common/kernel/mounts.h"

#include "tests/support/test.h"

namespace steps {
namespace {

TEST(MountsIn, GivesTheFieldsOfEachLine) {
  EXPECT_THAT(MountsIn("39 31 0:36 /a /cgroup/pids rw,relatime shared:1 "
                       "master:2 - cgroup none "
                       "rw,pids\n"
                       "23 1 0:21 / / rw - ext4 /dev/vda ro\n"),
              ElementsAre(FieldsAre("0:36", "/a", "/cgroup/pids",
                                    "shared:1 master:2", "cgroup", "rw,pids"),
                          FieldsAre("0:21", "/", "/", "", "ext4", "ro")));
}

TEST(MountTmpfs, NoticesThatNothingWasMounted) {
  InChild([] {
    EnterPrivateMounts();
    MountTmpfs("/mnt");
    MUST(mount, "none", "/mnt", "ramfs", 0, nullptr);
    EXPECT_EQ(MountedOn("/mnt"), "ramfs over tmpfs");
    MUST(mount, nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr);
    FilterCalls({{SYS_mount, 0}});  // It answers 0, and does nothing.
    EXPECT_THROW(MountTmpfs("/mnt"), std::runtime_error);
    EXPECT_THROW(MakeMountsPrivate(), std::runtime_error);
  });
}

}  // namespace
}  // namespace steps
