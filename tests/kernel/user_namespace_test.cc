#include "common/kernel/user_namespace.h"

#include <sys/capability.h>

#include "tests/support/test.h"

namespace steps {
namespace {

TEST(MapToRoot, MapsTheChildThatCallsItOnce) {
  InChild(
      [outside = Ids::OfCaller()] {
        EXPECT_EQ(geteuid(), 65534U) << "no map yet: user_namespaces(7)";
        MapToRoot(outside);
        EXPECT_EQ(geteuid(), 0U);
        EXPECT_THROW(MapToRoot(outside), CallError);
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
    const Ids somebody_else = {geteuid() + 1, getegid()};
    Check(unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
    EXPECT_THAT([&] { MapToRoot(somebody_else); },
                ThrowsMessage<CallError>(
                    fmt::format("write(\"/proc/self/uid_map\", \"0 {} 1\"): "
                                "Operation not permitted (EPERM)",
                                somebody_else.uid)));
  });
}

}  // namespace
}  // namespace steps
