#include "common/interfaces.h"

#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/call_error.h"

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
  std::string bytes() const { return {buffer_.data(), header_->nlmsg_len}; }

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
void Read(const Descriptor& socket, mnl_cb_t callback, void* data,
          const std::string& call) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  int result = MNL_CB_OK;
  while (result != MNL_CB_STOP) {
    const ssize_t size =
        Check(recv(socket.get(), buffer.data(), buffer.size(), 0), "{}", call);
    result = Check(mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0,
                              0, callback, data),
                   "{}", call);
  }
}

}  // namespace

std::map<std::string, std::string> Interfaces() {
  ifaddrs* first = nullptr;
  Check(getifaddrs(&first), "getifaddrs()");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(first, freeifaddrs);
  std::map<std::string, std::string> found;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    found[one->ifa_name] = (one->ifa_flags & IFF_UP) != 0 ? "up" : "down";
  }
  return found;
}

Descriptor MakeRouteSocket() {
  return Descriptor(
      Check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
            "socket(AF_NETLINK, NETLINK_ROUTE)"));
}

std::string VethMessage(const std::string& name, const std::string& peer,
                        pid_t pid) {
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
  return message.bytes();
}

void CheckAnswer(const Descriptor& socket, const std::string& call) {
  Read(socket, nullptr, nullptr, call);
}

void AwaitOperational(const std::string& name) {
  // First the news, then the state of now: so nothing is missed in between.
  const Descriptor socket = MakeRouteSocket();
  sockaddr_nl news = {};
  news.nl_family = AF_NETLINK;
  news.nl_groups = RTMGRP_LINK;
  Check(
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&news), sizeof news),
      "bind({}, RTMGRP_LINK)", socket.get());
  LinkMessage request(RTM_GETLINK, NLM_F_REQUEST);
  mnl_attr_put_strz(request.get(), IFLA_IFNAME, name.c_str());
  Check(send(socket.get(), request.get(), request.get()->nlmsg_len, 0),
        "send({}, RTM_GETLINK)", socket.get());
  std::string link = name;
  Read(socket, StopWhenOperational, &link, "RTM_GETLINK(\"" + name + "\")");
}

}  // namespace steps
