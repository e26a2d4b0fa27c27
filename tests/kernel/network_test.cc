#include "common/kernel/network.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

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

// Until this process waits in a call ("S"), has been stopped ("T") or ended.
void AwaitState(pid_t pid, const std::string& state) {
  std::string now;
  while (!now.starts_with(state) && !now.starts_with("Z")) {
    now = ReadField(fmt::format("/proc/{}/status", pid), "State");
  }
}

int MakeVethPair(const char* name, const char* peer, pid_t pid) {
  const Descriptor socket(OpenSocket(AF_NETLINK, SOCK_RAW));
  return TRY(send, socket.get(), RTM_NEWLINK, "veth", name, peer, pid);
}

// Whether the kernel takes it that the interface can send. netdevice(7).
bool IsRunning(const char* name) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  const Descriptor socket(OpenSocket(AF_INET, SOCK_DGRAM));
  MUST(::ioctl, socket.get(), SIOCGIFFLAGS, &request);
  return (request.ifr_flags & IFF_RUNNING) != 0;
}

TEST(Network, TcpConnectsAndRefusesAndWaitsFiveSecondsAtMost) {
  InNetworkNamespace([] {
    const Descriptor listener(OpenSocket(AF_INET, SOCK_STREAM));
    const Descriptor client(OpenSocket(AF_INET, SOCK_STREAM));
    EXPECT_EQ(TRY(connect, client.get(), "127.0.0.1", 80), ENETUNREACH);
    MUST(ioctl, client.get(), SIOCSIFFLAGS, "lo", IFF_UP);
    EXPECT_EQ(TRY(connect, client.get(), "127.0.0.1", 80), ECONNREFUSED);
    EXPECT_EQ(TRY(bind, listener.get(), "nonsense", 80), EAFNOSUPPORT);
    EXPECT_EQ(TRY(bind, DatagramSocket(), std::string(200, 'x').c_str()),
              EINVAL);
    MUST(bind, listener.get(), "0.0.0.0", 80);
    MUST(listen, listener.get(), 8);
    MUST(connect, client.get(), "127.0.0.1", 80);
    const Descriptor peer(MUST(accept, listener.get()));
    EXPECT_EQ(TRY(accept, listener.get()), EAGAIN);
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
    AwaitState(waiting, state);
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
  std::array<int, 2> ends = {};
  MUST(pipe, ends.data());
  ExpectPatience(
      [&] {
        close(ends[1]);
        return ReadAll(ends[0]) == "x" ? 0 : 1;
      },
      [&] {
        WriteAll(ends[1], "x");
        close(ends[1]);
      });
  MUST(pipe, ends.data());
  ExpectPatience(
      [&] {
        Process child = Process::Quiet().Clone("child", 0);
        // It has none of this process's descriptors.
        return child.Run([pid = getpid(), end = ends[0]] {
          const Descriptor fd =
              Open(fmt::format("/proc/{}/fd/{}", pid, end), O_RDONLY);
          char byte = 0;
          return read(fd.get(), &byte, 1) == 1 ? 0 : 1;
        });
      },
      [&] { WriteAll(ends[1], "x"); });
}

TEST(Network, InterfacesAreThoseOfTheNamespaceAndAPairJoinsTwo) {
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
    SettleLink("one");
    EXPECT_TRUE(IsRunning("one"));
    EXPECT_THROW(SettleLink("nowhere"), CallError);
  });
}

}  // namespace
}  // namespace steps
