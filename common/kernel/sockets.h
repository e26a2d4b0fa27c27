#ifndef COMMON_KERNEL_SOCKETS_H_
#define COMMON_KERNEL_SOCKETS_H_

#include <sys/types.h>

namespace steps {

// Sockets, and calls that take an address as a reader writes it. They are for
// CALL and TRY: -1 and errno where they fail. A signal does not interrupt them.

/// A socket on which no call takes longer than five seconds: when the process
/// that was to answer has been killed, no answer comes. accept(2) and recv(2)
/// fail with EAGAIN then, connect(2) with EINPROGRESS. Throws CallError.
/// socket(7).
int OpenSocket(int domain, int type);

/// An AF_UNIX one for datagrams. unix(7).
int DatagramSocket();

/// Gives the AF_INET socket `fd` an address. ip(7).
int bind(int fd, const char* ip, int port);

/// Connects it. ip(7).
int connect(int fd, const char* ip, int port);

/// Takes a connection: a socket with the same limit. accept(2).
int accept(int fd);

/// Has the AF_UNIX socket `fd` receive at `path`; "@name" is an abstract name.
/// unix(7).
int bind(int fd, const char* path);

/// Sends `text` to the socket that receives at `path`, or at "@name".
ssize_t sendto(int fd, const char* text, const char* path);

}  // namespace steps

#endif  // COMMON_KERNEL_SOCKETS_H_
