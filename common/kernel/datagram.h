#ifndef COMMON_KERNEL_DATAGRAM_H_
#define COMMON_KERNEL_DATAGRAM_H_

#include <sys/types.h>

namespace steps {

// bind(2) and sendto(2) for a datagram socket, an AF_UNIX one, which has a path
// for an address. They are for CALL and TRY: -1 and errno where they fail.
// unix(7).

/// A new socket. Throws CallError. socket(2).
int DatagramSocket();

/// Has the socket `fd` receive at `path`.
int bind(int fd, const char* path);

/// Sends `text` to the socket that receives at `path`.
ssize_t sendto(int fd, const char* text, const char* path);

}  // namespace steps

#endif  // COMMON_KERNEL_DATAGRAM_H_
