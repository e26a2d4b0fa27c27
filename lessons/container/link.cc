// The network of a container: a loopback, and a link to a gateway.

#include "lessons/container/link.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/network.h"
#include "lessons/container/root.h"

namespace steps {
namespace {

Descriptor Listen(const char* ip) {
  Descriptor listener(OpenSocket(AF_INET, SOCK_STREAM));
  MUST(bind, listener.get(), ip, kPort);
  MUST(listen, listener.get(), 8);
  return listener;
}

// None where it fails.
Descriptor Connect(const char* ip) {
  Descriptor socket(OpenSocket(AF_INET, SOCK_STREAM));
  const int error = TRY(connect, socket.get(), ip, kPort);
  return error == 0 ? std::move(socket) : Descriptor();
}

void BringUp(const char* name, const char* ip) {
  const Descriptor socket(OpenSocket(AF_INET, SOCK_DGRAM));
  CALL(ioctl, socket.get(), SIOCSIFADDR, name, ip);
  CALL(ioctl, socket.get(), SIOCSIFFLAGS, name, IFF_UP);
}

// Ends with its parent, at the latest when no connection has come for five
// seconds: a kernel that answers 0 to prctl(2) may have done nothing.
void Serve(int listener, pid_t parent) {
  while (true) {
    sockaddr_in peer = {};
    socklen_t length = sizeof peer;
    const Descriptor client(accept4(
        listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    if (client.get() == -1) {
      if (errno == EINTR || (errno == EAGAIN && getppid() == parent))
        continue;
      return;
    }
    const std::string seen = fmt::format("{}\n", inet_ntoa(peer.sin_addr));
    ::send(client.get(), seen.data(), seen.size(), MSG_NOSIGNAL);
  }
}

}  // namespace

void ServeOnLink(pid_t container) {
  const Descriptor route(OpenSocket(AF_NETLINK, SOCK_RAW));
  CALL(send, route.get(), RTM_NEWLINK, "veth", "veth0", "eth0", container);
  BringUp("veth0", kGateway);
  const Descriptor listener = Listen(kGateway);
  const pid_t parent = getpid();
  if (MUST(fork) != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_FAILURE);  // It has ended before that.
  Serve(listener.get(), parent);
  _exit(EXIT_FAILURE);
}

void BringUpLink() {
  BringUp("lo", "127.0.0.1");
  if (if_nametoindex("eth0") == 0) return;
  BringUp("eth0", kAddress);
  SettleLink("eth0");
}

std::string AskGateway() {
  const Descriptor gateway = Connect(kGateway);
  if (gateway.get() == -1) return "nobody";
  std::string seen = ReadAll(gateway.get());
  if (seen.ends_with('\n')) seen.pop_back();
  return seen;
}

bool ReachesItself() {
  const Descriptor listener = Listen("127.0.0.1");
  return Connect("127.0.0.1").get() != -1;
}

}  // namespace steps
