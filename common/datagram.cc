#include "common/datagram.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>

#include "common/call_error.h"

namespace steps {
namespace {

Descriptor MakeSocket() {
  return Descriptor(Check(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                          "socket(AF_UNIX, SOCK_DGRAM)"));
}

// `call` is bind(2) or connect(2).
int Address(int (*call)(int, const sockaddr*, socklen_t),
            const Descriptor& socket, const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  path.copy(address.sun_path, path.size());
  // Of an abstract name every byte counts, and so does the length.
  return call(
      socket.get(), reinterpret_cast<const sockaddr*>(&address),
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size()));
}

}  // namespace

Descriptor ReceiveAt(const std::string& path) {
  Descriptor socket = MakeSocket();
  Check(Address(bind, socket, path), "bind(\"{}\")", path);
  return socket;
}

void SendTo(const std::string& path, std::string_view text) {
  const Descriptor socket = MakeSocket();
  Check(Address(connect, socket, path), "connect(\"{}\")", path);
  Check(send(socket.get(), text.data(), text.size(), 0), "send(\"{}\")", path);
}

std::string Receive(const Descriptor& socket) {
  std::string text(4096, '\0');
  text.resize(Check(recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT),
                    "recv({})", socket.get()));
  return text;
}

}  // namespace steps
