#ifndef LESSONS_CONTAINER_LINK_H_
#define LESSONS_CONTAINER_LINK_H_

#include <netinet/in.h>
#include <sys/types.h>

#include <string>

namespace steps {

/// Where the gateway answers.
constexpr in_port_t kPort = 8080;

/// For a process alone in a network namespace, the gateway: makes a veth
/// pair between itself and the process `container`, and a server that sends
/// each client the address that it sees. It ends with this process. Throws
/// CallError. veth(4).
void ServeOnLink(pid_t container);

/// For the container's PID 1: brings up its loopback and, where there is
/// one, its end of the link. Throws CallError.
void BringUpLink();

/// The address that the gateway sees; "nobody" where it cannot be reached.
/// Throws CallError. connect(2).
std::string AskGateway();

/// Whether this process can connect to itself. Throws CallError.
bool ReachesItself();

}  // namespace steps

#endif  // LESSONS_CONTAINER_LINK_H_
