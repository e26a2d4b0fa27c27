#include "common/kernel/datagram.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "common/kernel/call.h"

namespace steps {
namespace {

// A path that is too long is cut: no socket is there then.
sockaddr_un AddressOf(const char* path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::size_t room = sizeof address.sun_path - 1;
  std::memcpy(address.sun_path, path, std::min(std::strlen(path), room));
  return address;
}

}  // namespace

int DatagramSocket() {
  return MUST(socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int bind(int fd, const char* path) {
  const sockaddr_un address = AddressOf(path);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address),
                sizeof address);
}

ssize_t sendto(int fd, const char* text, const char* path) {
  const sockaddr_un address = AddressOf(path);
  return ::sendto(fd, text, std::strlen(text), 0,
                  reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace steps
