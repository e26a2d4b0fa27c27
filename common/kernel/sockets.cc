#include "common/kernel/sockets.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/kernel/call.h"

namespace steps {
namespace {

void LimitPatience(int fd) {
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  for (const int direction : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    MUST(setsockopt, fd, SOL_SOCKET, direction, &patience,
         socklen_t{sizeof patience});
  }
}

template <typename Call>
int WithIpv4(const char* ip, int port, Call call) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  return Retry([&] {
    return call(reinterpret_cast<const sockaddr*>(&address),
                socklen_t{sizeof address});
  });
}

template <typename Call>
ssize_t WithPath(const char* path, Call call) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path, size);
  // A byte of value 0 makes a name abstract; then the length counts.
  if (path[0] == '@') address.sun_path[0] = '\0';
  return Retry([&] {
    return call(reinterpret_cast<const sockaddr*>(&address),
                static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  });
}

}  // namespace

int OpenSocket(int domain, int type) {
  const int fd = MUST(socket, domain, type | SOCK_CLOEXEC, 0);
  LimitPatience(fd);
  return fd;
}

int DatagramSocket() { return OpenSocket(AF_UNIX, SOCK_DGRAM); }

int bind(int fd, const char* ip, int port) {
  return WithIpv4(ip, port, [fd](const sockaddr* address, socklen_t size) {
    return ::bind(fd, address, size);
  });
}

int connect(int fd, const char* ip, int port) {
  return WithIpv4(ip, port, [fd](const sockaddr* address, socklen_t size) {
    return ::connect(fd, address, size);
  });
}

int accept(int fd) {
  const int connection =
      Retry([fd] { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); });
  if (connection != -1) LimitPatience(connection);
  return connection;
}

int bind(int fd, const char* path) {
  return static_cast<int>(
      WithPath(path, [fd](const sockaddr* address, socklen_t size) {
        return ::bind(fd, address, size);
      }));
}

ssize_t sendto(int fd, const char* text, const char* path) {
  return WithPath(path, [&](const sockaddr* address, socklen_t size) {
    return ::sendto(fd, text, std::strlen(text), 0, address, size);
  });
}

}  // namespace steps
