#ifndef COMMON_INTERFACES_H_
#define COMMON_INTERFACES_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "common/descriptor.h"

namespace steps {

// The interfaces of the network namespace that this process is in, and messages
// to the kernel about them. rtnetlink(7).

/// By name, whether each is "up" or "down". Throws CallError. getifaddrs(3).
std::map<std::string, std::string> Interfaces();

/// A socket for such messages. Throws CallError. netlink(7).
Descriptor MakeRouteSocket();

/// The message that makes a veth pair: `name`, and `peer` in the network
/// namespace of the process `pid`. veth(4).
std::string VethMessage(const std::string& name, const std::string& peer,
                        pid_t pid);

/// Reads what the kernel answers to a message sent on `socket`. Throws
/// CallError with the errno that it answers, and `call`.
void CheckAnswer(const Descriptor& socket, const std::string& call);

/// Waits until the interface `name` can send. Of a veth pair, the end that
/// comes up first can only when the kernel has noticed that the other is up,
/// too, a moment after. Throws CallError: ENODEV when the interface is gone.
void AwaitOperational(const std::string& name);

}  // namespace steps

#endif  // COMMON_INTERFACES_H_
