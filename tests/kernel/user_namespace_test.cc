#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/capability.h>
#include <unistd.h>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using testing::MatchesRegex;
using testing::ThrowsMessage;

TEST(EnterUserNamespaceAsRoot, MakesAnOrdinaryUserRoot) {
  InChildAsNobody([] {
    EXPECT_FALSE(HasCapabilities({CAP_SYS_ADMIN}));
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    EnterUserNamespaceAsRoot();
    EXPECT_EQ(geteuid(), 0U);
    EXPECT_EQ(getegid(), 0U);
    EXPECT_TRUE(HasCapabilities({CAP_SYS_ADMIN}));
    EXPECT_THAT(ReadFile("/proc/self/uid_map"),
                MatchesRegex(fmt::format(" *0 +{} +1\n", uid)));
    EXPECT_THAT(ReadFile("/proc/self/gid_map"),
                MatchesRegex(fmt::format(" *0 +{} +1\n", gid)));
    EXPECT_EQ(ReadFile("/proc/self/setgroups"), "deny\n");
  });
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
        Check(cap_set_proc(none), "cap_set_proc()");
        cap_free(none);
        EXPECT_FALSE(HasCapabilities({CAP_SYS_ADMIN}));
      },
      CLONE_NEWUSER);
}

TEST(MapToRoot, NamesTheMapThatIsRefused) {
  InChildAsNobody([] {
    const uid_t uid = geteuid() + 1;
    const gid_t gid = getegid();
    Check(unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
    EXPECT_THAT([&] { MapToRoot(uid, gid); },
                ThrowsMessage<CallError>(
                    fmt::format("write(\"/proc/self/uid_map\", \"0 {} 1\"): "
                                "Operation not permitted (EPERM)",
                                uid)));
  });
}

}  // namespace
}  // namespace steps
