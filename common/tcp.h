#ifndef COMMON_TCP_H_
#define COMMON_TCP_H_

#include <netinet/in.h>

#include <string>

#include "common/descriptor.h"

namespace steps {

/// The IPv4 address `ip` with `port`, as the calls want it. ip(7). Throws
/// CallError, EINVAL, when `ip` is none.
sockaddr_in Ipv4(const std::string& ip, in_port_t port = 0);

/// A TCP socket. Throws CallError. tcp(7).
Descriptor MakeTcpSocket();

/// Lets no call on the socket take longer than five seconds: when whoever was
/// to answer has been killed, no answer comes. Throws CallError. socket(7).
void LimitPatience(const Descriptor& socket);

/// bind(2) and connect(2) with that address: they give what these give, and
/// throw as Ipv4.
int Bind(const Descriptor& socket, const std::string& ip, in_port_t port);
int Connect(const Descriptor& socket, const std::string& ip, in_port_t port);

}  // namespace steps

#endif  // COMMON_TCP_H_
