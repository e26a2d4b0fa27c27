#ifndef COMMON_KERNEL_INTERFACES_H_
#define COMMON_KERNEL_INTERFACES_H_

#include <netinet/in.h>
#include <sys/types.h>

#include <map>
#include <string>

namespace steps {

// The interfaces of the network namespace that this process is in. The calls
// that change them are shown.

/// By name, whether each is "up" or "down". Throws CallError. getifaddrs(3).
std::map<std::string, std::string> Interfaces();

/// The same as text, for a probe: "eth0 up, lo up".
std::string InterfaceStates();

/// The IPv4 address `ip` with `port`, as the calls want it. ip(7). Throws
/// CallError, EINVAL, when `ip` is none.
sockaddr_in Ipv4(const std::string& ip, in_port_t port = 0);

/// Makes a veth pair: `name` in the network namespace of the caller, and `peer`
/// in that of the process `pid`. Throws CallError. veth(4), rtnetlink(7).
void MakeVethPair(const std::string& name, const std::string& peer, pid_t pid);

/// Gives the interface `name` an address. Throws CallError. netdevice(7).
void SetAddress(const std::string& name, const std::string& ip);

/// Brings the interface `name` up. Throws CallError. netdevice(7).
void BringUp(const std::string& name);

/// Waits until the interface `name` can send. Of a veth pair, the end that
/// comes up first can only when the kernel has noticed that the other is up,
/// too, a moment after. Throws CallError: ENODEV when the interface is gone.
void AwaitOperational(const std::string& name);

}  // namespace steps

#endif  // COMMON_KERNEL_INTERFACES_H_
