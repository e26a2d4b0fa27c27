#ifndef COMMON_DATAGRAM_H_
#define COMMON_DATAGRAM_H_

#include <string>
#include <string_view>

#include "common/descriptor.h"

namespace steps {

// Short messages to a socket with a path, or to one with an abstract name: one
// that begins with a byte of value 0. unix(7).

/// A socket that takes what is sent to `path`. Throws CallError. bind(2).
Descriptor ReceiveAt(const std::string& path);

/// Sends `text` to the socket with this `path`. Throws CallError: ENOENT or
/// ECONNREFUSED when there is none. connect(2).
void SendTo(const std::string& path, std::string_view text);

/// The first datagram that has come, up to 4096 bytes of it. Does not wait:
/// throws CallError, EAGAIN, when there is none. recv(2).
std::string Receive(const Descriptor& socket);

}  // namespace steps

#endif  // COMMON_DATAGRAM_H_
