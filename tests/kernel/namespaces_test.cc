#include "common/kernel/namespaces.h"

#include <sys/capability.h>

#include "tests/support/test.h"

namespace steps {
namespace {

TEST(Kinds, AreAllThatThisKernelHas) {
  for (const auto& link :
       std::filesystem::directory_iterator("/proc/self/ns")) {
    const std::string name = link.path().filename();
    if (name.ends_with("_for_children")) continue;
    EXPECT_THAT(Kinds(), Contains(Field(&Kind::proc_name, name)).Times(1));
  }
  EXPECT_EQ(KindOf(CLONE_NEWNS).name, "mount");
  EXPECT_EQ(KindOf(CLONE_NEWTIME).flag_name, "CLONE_NEWTIME");
  EXPECT_THROW(KindOf(CLONE_VM), std::out_of_range);
}

TEST(KindNames, AreInTheOrderOfTheKinds) {
  EXPECT_EQ(KindNames(CLONE_NEWTIME | CLONE_NEWNS | SIGCHLD), "mount time");
  EXPECT_EQ(KindNames(SIGCHLD), "(none)");
}

TEST(CloneFlags, ShowTheRestAsANumber) {
  EXPECT_EQ(CloneFlags(CLONE_VM | SIGCHLD), "SIGCHLD | 0x100");
  EXPECT_EQ(CloneFlags(0), "0x0");
}

TEST(MapToRoot, MapsTheChildThatCallsItOnce) {
  InChild(
      [uid = geteuid(), gid = getegid()] {
        EXPECT_EQ(geteuid(), 65534U) << "no map yet: user_namespaces(7)";
        MapToRoot(uid, gid);
        EXPECT_EQ(geteuid(), 0U);
        EXPECT_THROW(MapToRoot(uid, gid), CallError);
        EXPECT_TRUE(HasCapabilities({CAP_SYS_ADMIN}));
        cap_t none = cap_init();
        MUST(cap_set_proc, none);
        cap_free(none);
        EXPECT_FALSE(HasCapabilities({CAP_SYS_ADMIN}));
      },
      CLONE_NEWUSER);
}

}  // namespace
}  // namespace steps
