#include "common/tcp.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/call_error.h"

namespace steps {

sockaddr_in Ipv4(const std::string& ip, in_port_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) {
    throw CallError(EINVAL, "inet_pton(AF_INET, \"" + ip + "\")");
  }
  return address;
}

Descriptor MakeTcpSocket() {
  return Descriptor(Check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                          "socket(AF_INET, SOCK_STREAM)"));
}

void LimitPatience(const Descriptor& socket) {
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  for (const int direction : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    Check(setsockopt(socket.get(), SOL_SOCKET, direction, &patience,
                     sizeof patience),
          "setsockopt({})", socket.get());
  }
}

int Bind(const Descriptor& socket, const std::string& ip, in_port_t port) {
  const sockaddr_in address = Ipv4(ip, port);
  return bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof address);
}

int Connect(const Descriptor& socket, const std::string& ip, in_port_t port) {
  const sockaddr_in address = Ipv4(ip, port);
  return connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                 sizeof address);
}

}  // namespace steps
