#ifndef COMMON_KERNEL_INTERFACES_H_
#define COMMON_KERNEL_INTERFACES_H_

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include <map>
#include <string>

namespace steps {

// The interfaces of the network namespace that this process is in. What has the
// name of a system call is for CALL and TRY: -1 and errno where it fails.

/// By name, whether each is "up" or "down". Throws CallError. getifaddrs(3).
std::map<std::string, std::string> Interfaces();

/// SIOCSIFFLAGS: sets `flags`, such as IFF_UP, on the interface `name`, by any
/// AF_INET socket. netdevice(7).
int ioctl(int fd, unsigned long request, const char* name, int flags);

/// SIOCSIFADDR: gives the interface `name` an IPv4 address.
int ioctl(int fd, unsigned long request, const char* name, const char* ip);

/// A socket for messages about interfaces, with OpenSocket's limit. Throws
/// CallError. rtnetlink(7).
int OpenRouteSocket();

/// RTM_NEWLINK, "veth": makes a pair, `name` here and `peer` in the network
/// namespace of the process `pid`. Fails as the kernel answers: EOPNOTSUPP
/// where it has no veth. veth(4).
ssize_t send(int fd, int type, const char* kind, const char* name,
             const char* peer, pid_t pid);

/// Waits, five seconds at most, until the interface `name` can send. Of a veth
/// pair, the end that comes up first can only a moment after the other is up.
/// Throws CallError: ENODEV when the interface is gone.
void AwaitOperational(const std::string& name);

}  // namespace steps

#endif  // COMMON_KERNEL_INTERFACES_H_
