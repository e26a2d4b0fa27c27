#include "common/kernel/namespaces.h"

#include "tests/support/test.h"

namespace steps {
namespace {

TEST(Kinds, AreAllThatThisKernelHas) {
  for (const auto& link : fs::directory_iterator("/proc/self/ns")) {
    const std::string name = link.path().filename();
    if (name.ends_with("_for_children")) continue;
    EXPECT_THAT(Kinds(), Contains(Field(&Kind::proc_name, name)).Times(1));
  }
  EXPECT_EQ(KindOf(CLONE_NEWNS).name, "mount");
  EXPECT_EQ(KindOf(CLONE_NEWTIME).flag_name, "CLONE_NEWTIME");
  EXPECT_THROW(KindOf(CLONE_VM), std::out_of_range);
}

TEST(Flags, AreNamedInTheOrderOfTheKindsAndTheRestIsANumber) {
  EXPECT_EQ(KindNames(CLONE_NEWTIME | CLONE_NEWNS | SIGCHLD), "mount time");
  EXPECT_EQ(KindNames(SIGCHLD), "(none)");
  EXPECT_EQ(CloneFlags(CLONE_VM | SIGCHLD), "SIGCHLD | 0x100");
  EXPECT_EQ(CloneFlags(0), "0x0");
}

}  // namespace
}  // namespace steps
