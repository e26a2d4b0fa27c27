#include "common/interfaces.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/user_namespace.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::Pair;

// In a network namespace that ends with the test.
void InNetworkNamespace(const std::function<void()>& body) {
  InChild([&] {
    if (!IsRoot()) EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
    body();
  });
}

void MakeVethPair(const std::string& name, const std::string& peer, pid_t pid) {
  const Descriptor socket = MakeRouteSocket();
  const std::string message = VethMessage(name, peer, pid);
  Check(send(socket.get(), message.data(), message.size(), 0), "send()");
  CheckAnswer(socket, "veth");
}

int ErrnoOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const CallError& error) {
    return error.error();
  }
  return 0;
}

// A socket for the frames on the interface `name` that have this test's type,
// one of those for local experiments.
Descriptor PacketSocket(const std::string& name) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_802_EX1);
  address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
  Descriptor socket(
      Check(::socket(AF_PACKET, SOCK_RAW, address.sll_protocol), "socket()"));
  Check(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof address),
        "bind(\"{}\")", name);
  return socket;
}

// That the interface was down when the socket was bound to it.
void ForgetError(const Descriptor& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  Check(getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size),
        "getsockopt()");
}

void BringUp(const std::string& name) {
  const Descriptor socket = MakeRouteSocket();
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  Check(ioctl(socket.get(), SIOCSIFFLAGS, &request), "ioctl(\"{}\")", name);
}

TEST(Interfaces, AreThoseOfTheNamespace) {
  InNetworkNamespace([] {
    EXPECT_THAT(Interfaces(), ElementsAre(Pair("lo", "down")));
    BringUp("lo");
    MakeVethPair("one", "other", getpid());
    EXPECT_THAT(Interfaces(), ElementsAre(Pair("lo", "up"), Pair("one", "down"),
                                          Pair("other", "down")));
  });
}

TEST(VethMessage, PutsThePeerWhereTheProcessIs) {
  InNetworkNamespace([] {
    Child member([](Line& line) {
      Check(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
      line.Send("there");
      line.Checkpoint();
      EXPECT_THAT(Interfaces(),
                  ElementsAre(Pair("lo", "down"), Pair("other", "down")));
      if (testing::Test::HasFailure()) _exit(1);
    });
    member.Fork();
    member.Receive();
    MakeVethPair("one", "other", member.pid());
    EXPECT_THAT(Interfaces(),
                ElementsAre(Pair("lo", "down"), Pair("one", "down")));
    member.Finish();
  });
}

TEST(CheckAnswer, ThrowsWhatTheKernelAnswers) {
  InNetworkNamespace([] {
    MakeVethPair("one", "other", getpid());
    const auto again = [] { MakeVethPair("one", "third", getpid()); };
    EXPECT_EQ(ErrnoOf(again), EEXIST);
  });
}

TEST(AwaitOperational, ReturnsWhenTheFirstEndThatCameUpCanSend) {
  // The kernel notices in its own time: often it is the faster one.
  for (int i = 0; i < 20; ++i) {
    InNetworkNamespace([] {
      MakeVethPair("one", "other", getpid());
      const Descriptor from = PacketSocket("one");
      const Descriptor to = PacketSocket("other");
      BringUp("one");
      BringUp("other");
      AwaitOperational("one");
      ForgetError(from);
      ForgetError(to);
      ethhdr frame = {};
      frame.h_proto = htons(ETH_P_802_EX1);
      Check(send(from.get(), &frame, sizeof frame, 0), "send()");
      EXPECT_EQ(recv(to.get(), &frame, sizeof frame, MSG_DONTWAIT),
                static_cast<ssize_t>(sizeof frame));
    });
  }
}

TEST(AwaitOperational, KnowsThatThereIsNone) {
  EXPECT_EQ(ErrnoOf([] { AwaitOperational("nowhere"); }), ENODEV);
}

// A pair ends with the namespace of either end.
TEST(AwaitOperational, NoticesThatTheInterfaceIsGone) {
  InNetworkNamespace([] {
    Child member([](Line& line) {
      Check(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
      line.Send("there");
      line.Checkpoint();
    });
    member.Fork();
    member.Receive();
    MakeVethPair("one", "other", member.pid());
    BringUp("one");
    member.Finish();
    EXPECT_EQ(ErrnoOf([] { AwaitOperational("one"); }), ENODEV);
  });
}

}  // namespace
}  // namespace steps
