#include "common/kernel/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

constexpr int kOperational = 6;  // IF_OPER_UP of <linux/if.h>: RFC 2863.

void LimitPatience(int fd) {
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  for (const int direction : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    MUST(setsockopt, fd, SOL_SOCKET, direction, &patience,
         socklen_t{sizeof patience});
  }
}

template <typename Address>
const sockaddr* Generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// False, with EINVAL, where `ip` is no address.
bool ReadAddress(const char* ip, int port, sockaddr_in& address) {
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<in_port_t>(port));
  if (inet_pton(AF_INET, ip, &address.sin_addr) == 1) return true;
  errno = EINVAL;
  return false;
}

// The length of the address; 0, with ENAMETOOLONG, where `path` is too long.
socklen_t ReadPath(const char* path, sockaddr_un& address) {
  const std::size_t size = std::strlen(path);
  address.sun_family = AF_UNIX;
  if (size >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return 0;
  }
  std::memcpy(address.sun_path, path, size);
  // A byte of value 0 makes a name abstract; then the length counts.
  if (path[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
}

// A message about links, which grows in its buffer.
class LinkMessage {
 public:
  LinkMessage(int type, int flags) {
    header_->nlmsg_type = static_cast<std::uint16_t>(type);
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    mnl_nlmsg_put_extra_header(header_, sizeof(ifinfomsg));
  }
  nlmsghdr* get() { return header_; }
  ssize_t Send(int fd) const {
    return ::send(fd, buffer_.data(), header_->nlmsg_len, 0);
  }

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_ = {};
  nlmsghdr* header_ = mnl_nlmsg_put_header(buffer_.data());
};

// What a message tells of a link.
struct Link {
  std::string name;
  int state = 0;
};

int ReadAttribute(const nlattr* attribute, void* data) {
  Link& link = *static_cast<Link*>(data);
  const int type = mnl_attr_get_type(attribute);
  if (type == IFLA_IFNAME) link.name = mnl_attr_get_str(attribute);
  if (type == IFLA_OPERSTATE) link.state = mnl_attr_get_u8(attribute);
  return MNL_CB_OK;
}

// For mnl_cb_run(): stops when the link called `name` can send, and fails when
// it is gone.
int StopWhenOperational(const nlmsghdr* message, void* name) {
  Link link;
  mnl_attr_parse(message, sizeof(ifinfomsg), ReadAttribute, &link);
  if (link.name != static_cast<const char*>(name)) return MNL_CB_OK;
  if (message->nlmsg_type == RTM_DELLINK) {
    errno = ENODEV;
    return MNL_CB_ERROR;
  }
  return link.state == kOperational ? MNL_CB_STOP : MNL_CB_OK;
}

// Reads messages until one lets `callback` stop: 0, or -1 with its errno.
int ReadMessages(int fd, mnl_cb_t callback, void* data) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  int result = MNL_CB_OK;
  while (result > MNL_CB_STOP) {
    const ssize_t size =
        Retry([&] { return recv(fd, buffer.data(), buffer.size(), 0); });
    if (size == -1) return -1;
    result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, 0,
                        callback, data);
  }
  return result;
}

ifreq RequestFor(const char* name) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

}  // namespace

int OpenSocket(int domain, int type) {
  const int fd = MUST(socket, domain, type | SOCK_CLOEXEC, 0);
  LimitPatience(fd);
  return fd;
}

int DatagramSocket() { return OpenSocket(AF_UNIX, SOCK_DGRAM); }

int OpenRouteSocket() { return OpenSocket(AF_NETLINK, SOCK_RAW); }

int bind(int fd, const char* ip, int port) {
  sockaddr_in address = {};
  if (!ReadAddress(ip, port, address)) return -1;
  return ::bind(fd, Generic(address), sizeof address);
}

int connect(int fd, const char* ip, int port) {
  sockaddr_in address = {};
  if (!ReadAddress(ip, port, address)) return -1;
  return Retry([&] { return ::connect(fd, Generic(address), sizeof address); });
}

int accept(int fd) {
  const int connection =
      Retry([fd] { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); });
  if (connection != -1) LimitPatience(connection);
  return connection;
}

int bind(int fd, const char* path) {
  sockaddr_un address = {};
  const socklen_t size = ReadPath(path, address);
  return size == 0 ? -1 : ::bind(fd, Generic(address), size);
}

ssize_t sendto(int fd, const char* text, const char* path) {
  sockaddr_un address = {};
  const socklen_t size = ReadPath(path, address);
  if (size == 0) return -1;
  return Retry([&] {
    return ::sendto(fd, text, std::strlen(text), 0, Generic(address), size);
  });
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
  sockaddr_in address = {};
  if (!ReadAddress(ip, 0, address)) return -1;
  std::memcpy(&change.ifr_addr, &address, sizeof address);
  return ::ioctl(fd, request, &change);
}

ssize_t send(int fd, int type, const char* kind, const char* name,
             const char* peer, pid_t pid) {
  LinkMessage message(type, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  nlmsghdr* header = message.get();
  mnl_attr_put_strz(header, IFLA_IFNAME, name);
  nlattr* info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, kind);
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* end = mnl_attr_nest_start(header, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, peer);
  mnl_attr_put_u32(header, IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  mnl_attr_nest_end(header, end);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, info);
  const ssize_t size = message.Send(fd);
  return size == -1 || ReadMessages(fd, nullptr, nullptr) == -1 ? -1 : size;
}

void AwaitOperational(const std::string& name) {
  // First the news, then the state of now: so nothing is missed in between.
  const Descriptor socket(OpenRouteSocket());
  sockaddr_nl news = {};
  news.nl_family = AF_NETLINK;
  news.nl_groups = RTMGRP_LINK;
  Check(::bind(socket.get(), Generic(news), sizeof news),
        "bind({}, RTMGRP_LINK)", socket.get());
  LinkMessage request(RTM_GETLINK, 0);
  mnl_attr_put_strz(request.get(), IFLA_IFNAME, name.c_str());
  Check(request.Send(socket.get()), "send({}, RTM_GETLINK)", socket.get());
  std::string link = name;
  Check(ReadMessages(socket.get(), StopWhenOperational, link.data()),
        "RTM_GETLINK(\"{}\")", name);
}

}  // namespace steps
