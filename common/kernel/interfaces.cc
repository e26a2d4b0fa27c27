#include "common/kernel/interfaces.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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

// A message about links, which grows in a buffer of its own.
class LinkMessage {
 public:
  LinkMessage(std::uint16_t type, std::uint16_t flags) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = flags;
    mnl_nlmsg_put_extra_header(header_, sizeof(ifinfomsg));
  }
  nlmsghdr* get() { return header_; }

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_ = {};
  nlmsghdr* header_ = mnl_nlmsg_put_header(buffer_.data());
};

// What a message tells of a link.
struct Link {
  std::string name;
  int state = IF_OPER_UNKNOWN;
};

Link Parse(const nlmsghdr* message) {
  Link link;
  const auto take = [](const nlattr* attribute, void* data) -> int {
    Link& found = *static_cast<Link*>(data);
    const int type = mnl_attr_get_type(attribute);
    if (type == IFLA_IFNAME) found.name = mnl_attr_get_str(attribute);
    if (type == IFLA_OPERSTATE) found.state = mnl_attr_get_u8(attribute);
    return MNL_CB_OK;
  };
  mnl_attr_parse(message, sizeof(ifinfomsg), take, &link);
  return link;
}

// For mnl_cb_run(): stops when the link called `name` can send, and fails when
// it is gone.
int StopWhenOperational(const nlmsghdr* message, void* name) {
  const Link link = Parse(message);
  if (link.name != *static_cast<const std::string*>(name)) return MNL_CB_OK;
  if (message->nlmsg_type == RTM_DELLINK) {
    errno = ENODEV;
    return MNL_CB_ERROR;
  }
  return link.state == IF_OPER_UP ? MNL_CB_STOP : MNL_CB_OK;
}

// Reads messages until one lets `callback` stop.
void Read(int socket, mnl_cb_t callback, void* data, const std::string& call) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  int result = MNL_CB_OK;
  while (result != MNL_CB_STOP) {
    const ssize_t size =
        Check(recv(socket, buffer.data(), buffer.size(), 0), "{}", call);
    result = Check(mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0,
                              0, callback, data),
                   "{}", call);
  }
}

Descriptor RouteSocket() {
  return Descriptor(
      MUST(socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

// ioctl(2), told with what is in the structure.
void Ioctl(unsigned long number, ifreq& request, const std::string& shown) {
  const Descriptor socket(
      MUST(::socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Call call = {.name = "ioctl",
               .text = fmt::format("ioctl({}, {})", socket.get(), shown),
               .numbers = {static_cast<long>(number)}};
  call.result = ioctl(socket.get(), number, &request);
  if (call.result == -1) call.error = errno;
  TellCall(call);
  if (call.result == -1) throw CallError(std::move(call));
}

}  // namespace

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

std::string InterfaceStates() {
  std::string all;
  for (const auto& [name, state] : Interfaces()) {
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, state);
  }
  return all;
}

sockaddr_in Ipv4(const std::string& ip, in_port_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) {
    throw CallError(EINVAL, "inet_pton(AF_INET, \"" + ip + "\")");
  }
  return address;
}

void MakeVethPair(const std::string& name, const std::string& peer, pid_t pid) {
  LinkMessage message(RTM_NEWLINK,
                      NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  nlmsghdr* header = message.get();
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  nlattr* info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* end = mnl_attr_nest_start(header, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, peer.c_str());
  mnl_attr_put_u32(header, IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  mnl_attr_nest_end(header, end);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, info);

  const Descriptor socket = RouteSocket();
  Call call = {.name = "sendto",
               .text = fmt::format(
                   "sendto({}, {{RTM_NEWLINK, \"veth\", \"{}\", \"{}\"}})",
                   socket.get(), name, peer)};
  call.result = send(socket.get(), header, header->nlmsg_len, 0);
  if (call.result == -1) call.error = errno;
  TellCall(call);
  if (call.result == -1) throw CallError(std::move(call));
  // The kernel's answer is an errno in a message.
  Read(socket.get(), nullptr, nullptr, "RTM_NEWLINK(\"veth\")");
}

void SetAddress(const std::string& name, const std::string& ip) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  const sockaddr_in address = Ipv4(ip);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  Ioctl(SIOCSIFADDR, request,
        fmt::format("SIOCSIFADDR, {{\"{}\", \"{}\"}}", name, ip));
}

void BringUp(const std::string& name) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  Ioctl(SIOCSIFFLAGS, request,
        fmt::format("SIOCSIFFLAGS, {{\"{}\", IFF_UP}}", name));
}

void AwaitOperational(const std::string& name) {
  // First the news, then the state of now: so nothing is missed in between.
  const Descriptor socket = RouteSocket();
  // Not for ever: what was to bring up the other end may have been told a lie.
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  MUST(setsockopt, socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
       socklen_t{sizeof patience});
  sockaddr_nl news = {};
  news.nl_family = AF_NETLINK;
  news.nl_groups = RTMGRP_LINK;
  MUST(bind, socket.get(), reinterpret_cast<const sockaddr*>(&news),
       socklen_t{sizeof news});
  LinkMessage request(RTM_GETLINK, NLM_F_REQUEST);
  mnl_attr_put_strz(request.get(), IFLA_IFNAME, name.c_str());
  Check(send(socket.get(), request.get(), request.get()->nlmsg_len, 0),
        "send({}, RTM_GETLINK)", socket.get());
  std::string link = name;
  Read(socket.get(), StopWhenOperational, &link,
       "RTM_GETLINK(\"" + name + "\")");
}

}  // namespace steps
