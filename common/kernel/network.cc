#include "common/kernel/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

template <typename Address>
const sockaddr* Generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

sockaddr_in AddressOf(const char* ip, int port) {
  sockaddr_in address = {};
  // What is no address gets a family that the kernel refuses.
  const bool valid = inet_pton(AF_INET, ip, &address.sin_addr) == 1;
  address.sin_family = valid ? AF_INET : AF_MAX;
  address.sin_port = htons(static_cast<in_port_t>(port));
  return address;
}

// The length of the address; 0, which the kernel refuses, where `path` is too
// long.
socklen_t ReadPath(const char* path, sockaddr_un& address) {
  const std::size_t size = std::strlen(path);
  if (size > sizeof address.sun_path) return 0;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, size);
  // A byte of value 0 makes a name abstract; then the length counts.
  if (path[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
}

ifreq RequestFor(const char* name) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

}  // namespace

int OpenSocket(int domain, int type) {
  const int fd = MUST(socket, domain, type | SOCK_CLOEXEC, 0);
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  for (const int direction : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    MUST(setsockopt, fd, SOL_SOCKET, direction, &patience,
         socklen_t{sizeof patience});
  }
  return fd;
}

int DatagramSocket() { return OpenSocket(AF_UNIX, SOCK_DGRAM); }

int bind(int fd, const char* ip, int port) {
  const sockaddr_in address = AddressOf(ip, port);
  return ::bind(fd, Generic(address), sizeof address);
}

int connect(int fd, const char* ip, int port) {
  const sockaddr_in address = AddressOf(ip, port);
  return ::connect(fd, Generic(address), sizeof address);
}

int accept(int fd) { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); }

int bind(int fd, const char* path) {
  sockaddr_un address = {};
  const socklen_t size = ReadPath(path, address);
  return ::bind(fd, Generic(address), size);
}

ssize_t sendto(int fd, const char* text, const char* path) {
  sockaddr_un address = {};
  const socklen_t size = ReadPath(path, address);
  return ::sendto(fd, text, std::strlen(text), 0, Generic(address), size);
}

std::map<std::string, std::string> Interfaces() {
  ifaddrs* first = nullptr;
  MUST(getifaddrs, &first);
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(first, freeifaddrs);
  std::map<std::string, std::string> found;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    found[one->ifa_name] = (one->ifa_flags & IFF_UP) != 0 ? "up" : "down";
  }
  return found;
}

int ioctl(int fd, unsigned long request, const char* name, int flags) {
  ifreq change = RequestFor(name);
  if (::ioctl(fd, SIOCGIFFLAGS, &change) == -1) return -1;
  change.ifr_flags = static_cast<short>(change.ifr_flags | flags);
  return ::ioctl(fd, request, &change);
}

int ioctl(int fd, unsigned long request, const char* name, const char* ip) {
  ifreq change = RequestFor(name);
  const sockaddr_in address = AddressOf(ip, 0);
  std::memcpy(&change.ifr_addr, &address, sizeof address);
  return ::ioctl(fd, request, &change);
}

ssize_t send(int fd, int type, const char* kind, const char* name,
             const char* peer, pid_t pid) {
  alignas(nlmsghdr) std::array<char, 1024> buffer = {};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = static_cast<std::uint16_t>(type);
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, name);
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* end = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, peer);
  mnl_attr_put_u32(message, IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  mnl_attr_nest_end(message, end);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
  const ssize_t sent = ::send(fd, message, message->nlmsg_len, 0);
  if (sent == -1) return -1;
  const ssize_t size =
      Retry([&] { return recv(fd, buffer.data(), buffer.size(), 0); });
  if (size == -1) return -1;
  // The answer is an errno, or 0.
  const int result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size),
                                0, 0, nullptr, nullptr);
  return result == -1 ? -1 : sent;
}

void SettleLink(const char* name) {
  ethtool_value link = {.cmd = ETHTOOL_GLINK, .data = 0};
  ifreq request = RequestFor(name);
  request.ifr_data = reinterpret_cast<char*>(&link);
  const Descriptor socket(OpenSocket(AF_INET, SOCK_DGRAM));
  MUST(::ioctl, socket.get(), SIOCETHTOOL, &request);
}

}  // namespace steps
