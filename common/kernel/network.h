#ifndef COMMON_KERNEL_NETWORK_H_
#define COMMON_KERNEL_NETWORK_H_

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include <map>
#include <string>

namespace steps {

// Sockets and interfaces of the network namespace that this process is in. What
// has the name of a system call takes what a reader writes, and is for CALL and
// TRY: -1 and errno where it fails.

/// A socket on which no call takes longer than five seconds, though nobody may
/// be left to answer: then accept(2) and recv(2) fail with EAGAIN, connect(2)
/// with EINPROGRESS. Throws CallError. socket(7).
int OpenSocket(int domain, int type);

/// An AF_UNIX one for datagrams. unix(7).
int DatagramSocket();

/// Gives the AF_INET socket `fd` an address, or connects it to one. ip(7).
int bind(int fd, const char* ip, int port);
int connect(int fd, const char* ip, int port);

/// Takes a connection: a socket that inherits the limit. accept(2).
int accept(int fd);

/// Has the AF_UNIX socket `fd` receive at `path`, or sends `text` to the one
/// that does; "@name" is an abstract name. unix(7).
int bind(int fd, const char* path);
ssize_t sendto(int fd, const char* text, const char* path);

/// By name, whether each interface is "up" or "down". Throws CallError.
/// getifaddrs(3).
std::map<std::string, std::string> Interfaces();

/// SIOCSIFFLAGS sets `flags`, such as IFF_UP, on the interface `name`,
/// SIOCSIFADDR gives it an address; by any AF_INET socket. netdevice(7).
int ioctl(int fd, unsigned long request, const char* name, int flags);
int ioctl(int fd, unsigned long request, const char* name, const char* ip);

/// RTM_NEWLINK, "veth": makes a pair, `name` here and `peer` in the network
/// namespace of the process `pid`, by an AF_NETLINK socket. Fails as the kernel
/// answers: EOPNOTSUPP where it has no veth. rtnetlink(7), veth(4).
ssize_t send(int fd, int type, const char* kind, const char* name,
             const char* peer, pid_t pid);

/// Has the kernel take note at once that the interface `name` can send: of a
/// veth pair, where both ends are up. Throws CallError.
void SettleLink(const char* name);

}  // namespace steps

#endif  // COMMON_KERNEL_NETWORK_H_
