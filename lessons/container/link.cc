// The network of a container: a loopback, and a link to a gateway.

#include "lessons/container/link.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/interfaces.h"
#include "lessons/container/root.h"

namespace steps {
namespace {

Descriptor TcpSocket() {
  return Descriptor(MUST(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

Descriptor Listen(const char* ip) {
  Descriptor listener = TcpSocket();
  const sockaddr_in address = Ipv4(ip, kPort);
  MUST(bind, listener.get(), reinterpret_cast<const sockaddr*>(&address),
       socklen_t{sizeof address});
  MUST(listen, listener.get(), 8);
  return listener;
}

// connect(2), told with the address; -1 where it fails. When whoever was to
// answer has been killed, no answer comes: nothing takes longer than five
// seconds.
Descriptor Connect(const char* ip) {
  Descriptor socket = TcpSocket();
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  for (const int direction : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    MUST(setsockopt, socket.get(), SOL_SOCKET, direction, &patience,
         socklen_t{sizeof patience});
  }
  const sockaddr_in address = Ipv4(ip, kPort);
  Call call = {.name = "connect",
               .text = fmt::format("connect({}, {{\"{}\", {}}})", socket.get(),
                                   ip, kPort)};
  call.result =
      connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof address);
  if (call.result == -1) call.error = errno;
  TellCall(call);
  return call.result == -1 ? Descriptor() : std::move(socket);
}

void Serve(int listener) {
  while (true) {
    sockaddr_in peer = {};
    socklen_t length = sizeof peer;
    const Descriptor client(accept4(
        listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    if (client.get() == -1 && errno != EINTR) return;
    const std::string seen = fmt::format("{}\n", inet_ntoa(peer.sin_addr));
    send(client.get(), seen.data(), seen.size(), MSG_NOSIGNAL);
  }
}

}  // namespace

void ServeOnLink(pid_t container) {
  MakeVethPair("veth0", "eth0", container);
  SetAddress("veth0", kGateway);
  BringUp("veth0");
  const Descriptor listener = Listen(kGateway);
  const pid_t parent = getpid();
  if (MUST(fork) != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_FAILURE);  // It has ended before that.
  Serve(listener.get());
  _exit(EXIT_FAILURE);
}

void BringUpLink() {
  BringUp("lo");
  if (if_nametoindex("eth0") == 0) return;
  SetAddress("eth0", kAddress);
  BringUp("eth0");
  AwaitOperational("eth0");
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
