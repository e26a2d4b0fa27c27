#include "common/kernel/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/kernel/sockets.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::Pair;

// In a network namespace that ends with the test.
void InNetworkNamespace(const std::function<void()>& body) {
  InChild([&] {
    if (!IsRoot()) EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNET);
    body();
  });
}

int MakeVethPair(const char* name, const char* peer, pid_t pid) {
  const Descriptor socket(OpenRouteSocket());
  return TRY(send, socket.get(), RTM_NEWLINK, "veth", name, peer, pid);
}

int AwaitIt(const std::string& name) {
  try {
    AwaitOperational(name);
  } catch (const CallError& error) {
    return error.error();
  }
  return 0;
}

TEST(Interfaces, AreThoseOfTheNamespaceAndAPairJoinsTwo) {
  InNetworkNamespace([] {
    EXPECT_THAT(Interfaces(), ElementsAre(Pair("lo", "down")));
    Process self = Process::Quiet();
    Process member = self.Clone("member", CLONE_NEWNET);
    EXPECT_EQ(MakeVethPair("one", "other", member.pid()), 0);
    EXPECT_EQ(MakeVethPair("one", "third", getpid()), EEXIST);
    EXPECT_EQ(member.Run([] { return Interfaces().count("other"); }), 1U);
    EXPECT_THAT(Interfaces(),
                ElementsAre(Pair("lo", "down"), Pair("one", "down")));
    const Descriptor socket(OpenSocket(AF_INET, SOCK_DGRAM));
    MUST(ioctl, socket.get(), SIOCSIFFLAGS, "one", IFF_UP);
    member.Run([] {
      const int fd = OpenSocket(AF_INET, SOCK_DGRAM);
      MUST(ioctl, fd, SIOCSIFADDR, "other", "192.0.2.2");
      MUST(ioctl, fd, SIOCSIFFLAGS, "other", IFF_UP);
    });
    EXPECT_EQ(AwaitIt("one"), 0);
    EXPECT_EQ(AwaitIt("nowhere"), ENODEV);
  });
}

}  // namespace
}  // namespace steps
