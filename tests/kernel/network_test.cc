#include "common/kernel/network.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>

#include "tests/support/test.h"

namespace steps {
namespace {

// In a network namespace that ends with the test.
void InNetworkNamespace(const std::function<void()>& body) {
  InChild([&] {
    if (!IsRoot()) EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNET);
    body();
  });
}

// The lesson net shows what connects, and what is refused or out of reach.
TEST(Network, RefusesWhatIsNoAddressAndWaitsFiveSecondsAtMost) {
  InNetworkNamespace([] {
    const Descriptor listener(OpenSocket(AF_INET, SOCK_STREAM));
    EXPECT_EQ(TRY(bind, listener.get(), "nonsense", 80), EAFNOSUPPORT);
    EXPECT_EQ(TRY(bind, DatagramSocket(), std::string(200, 'x').c_str()),
              EINVAL);
    MUST(listen, listener.get(), 8);
    EXPECT_EQ(TRY(accept, listener.get()), EAGAIN);
    // A connection that is taken has its listener's limit.
    const int fd = OpenSocket(AF_INET, SOCK_STREAM);
    MUST(ioctl, fd, SIOCSIFFLAGS, "lo", IFF_UP);
    MUST(bind, fd, "127.0.0.1", 80);
    MUST(listen, fd, 8);
    MUST(connect, OpenSocket(AF_INET, SOCK_STREAM), "127.0.0.1", 80);
    timeval limit = {};
    socklen_t size = sizeof limit;
    MUST(getsockopt, MUST(accept, fd), SOL_SOCKET, SO_RCVTIMEO, &limit, &size);
    EXPECT_EQ(limit.tv_sec, 5);
  });
}

// Expects `work` to give 0 when `release` lets it, although Ctrl-Z and fg have
// interrupted its wait, and a handler, which interrupts all calls. signal(7).
void ExpectPatience(const std::function<int()>& work,
                    const std::function<void()>& release) {
  const pid_t waiting = MUST(fork);
  if (waiting == 0) {
    struct sigaction action = {};  // Without SA_RESTART.
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    _exit(work());
  }
  for (const auto& [signal, state] :
       {std::pair(0, "S"), {SIGSTOP, "T"}, {SIGCONT, "S"}, {SIGUSR1, "S"}}) {
    MUST(kill, waiting, signal);
    // Until it waits in a call ("S"), has been stopped ("T") or ended ("Z").
    std::string now;
    while (!now.starts_with(state) && !now.starts_with("Z")) {
      now = ReadField(fmt::format("/proc/{}/status", waiting), "State");
    }
  }
  release();
  int status = -1;
  MUST(waitpid, waiting, &status, 0);
  EXPECT_EQ(DescribeStatus(status), "exit status 0");
}

TEST(Network, AWaitGoesOnAfterASignal) {
  InNetworkNamespace([] {
    const Descriptor listener(OpenSocket(AF_INET, SOCK_STREAM));
    MUST(ioctl, listener.get(), SIOCSIFFLAGS, "lo", IFF_UP);
    MUST(bind, listener.get(), "127.0.0.1", 80);
    MUST(listen, listener.get(), 0);
    const Descriptor client(OpenSocket(AF_INET, SOCK_STREAM));
    ExpectPatience([&] { return TRY(accept, listener.get()); },
                   [&] { MUST(connect, client.get(), "127.0.0.1", 80); });
    // Without room for a second, its first packet is dropped.
    const Descriptor first(OpenSocket(AF_INET, SOCK_STREAM));
    const Descriptor second(OpenSocket(AF_INET, SOCK_STREAM));
    MUST(connect, first.get(), "127.0.0.1", 80);
    ExpectPatience([&] { return TRY(connect, second.get(), "127.0.0.1", 80); },
                   [&] { MUST(accept, listener.get()); });
  });
}

TEST(Process, AWaitGoesOnAfterASignal) {
  const auto read = [] { return ReadAll(STDIN_FILENO) == "x" ? 0 : 1; };
  for (const bool elsewhere : {false, true}) {
    std::array<int, 2> ends = {};
    MUST(pipe, ends.data());
    ExpectPatience(
        [&] {
          MUST(dup2, ends[0], STDIN_FILENO);
          close(ends[1]);
          if (!elsewhere) return read();
          return Process::Quiet().Clone("child", 0).Run(read);
        },
        [&] {
          WriteAll(ends[1], "x");
          close(ends[1]);
        });
  }
}

TEST(Network, APairIsMadeOnceAndCanSendWhenItIsSettled) {
  InNetworkNamespace([] {
    const Descriptor netlink(OpenSocket(AF_NETLINK, SOCK_RAW));
    const Descriptor socket(OpenSocket(AF_INET, SOCK_DGRAM));
    for (const int error : {0, EEXIST}) {
      EXPECT_EQ(TRY(send, netlink.get(), RTM_NEWLINK, "veth", "one", "other",
                    getpid()),
                error);
    }
    for (const char* name : {"one", "other"}) {
      MUST(ioctl, socket.get(), SIOCSIFFLAGS, name, IFF_UP);
    }
    SettleLink("one");
    ifreq request = {{"one"}, {}};
    MUST(::ioctl, socket.get(), SIOCGIFFLAGS, &request);
    EXPECT_NE(request.ifr_flags & IFF_RUNNING, 0) << "netdevice(7)";
    EXPECT_THROW(SettleLink("nowhere"), CallError);
  });
}

}  // namespace
}  // namespace steps
