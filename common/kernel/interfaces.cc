#include "common/kernel/interfaces.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {

void MakeVethPair(const std::string& name, const std::string& peer, pid_t pid) {
  alignas(nlmsghdr) std::array<char, 1024> buffer = {};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_NEWLINK;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* end = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, peer.c_str());
  mnl_attr_put_u32(message, IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  mnl_attr_nest_end(message, end);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);

  const Descriptor socket(
      MUST(::socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  Check(send(socket.get(), message, message->nlmsg_len, 0),
        "sendto({}, RTM_NEWLINK)", socket.get());
  // The kernel's answer is an errno in a message.
  alignas(nlmsghdr) std::array<char, 8192> answer = {};
  const ssize_t size =
      Check(recv(socket.get(), answer.data(), answer.size(), 0), "recvfrom()");
  Check(mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 0, 0, nullptr,
                   nullptr),
        "RTM_NEWLINK(\"veth\")");
}

void BringUp(const std::string& name) {
  const Descriptor socket(
      MUST(::socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  MUST(ioctl, socket.get(), SIOCSIFFLAGS, &request);
}

}  // namespace steps
