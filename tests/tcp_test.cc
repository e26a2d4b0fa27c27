#include "common/tcp.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/call_error.h"
#include "common/descriptor.h"

namespace steps {
namespace {

constexpr const char* kHere = "127.0.0.1";

// A port that is free: the kernel's choice.
in_port_t BindAnywhere(const Descriptor& socket) {
  Check(Bind(socket, kHere, 0), "bind()");
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  Check(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size),
        "getsockname()");
  EXPECT_EQ(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  return ntohs(address.sin_port);
}

TEST(Tcp, ConnectsToWhoListens) {
  const Descriptor listener = MakeTcpSocket();
  const in_port_t port = BindAnywhere(listener);
  const Descriptor early = MakeTcpSocket();
  EXPECT_EQ(Connect(early, kHere, port), -1);
  EXPECT_EQ(errno, ECONNREFUSED);

  Check(listen(listener.get(), 1), "listen()");
  const Descriptor client = MakeTcpSocket();
  ASSERT_EQ(Connect(client, kHere, port), 0);
  const Descriptor server(accept(listener.get(), nullptr, nullptr));
  WriteAll(client.get(), "hello");
  Check(shutdown(client.get(), SHUT_WR), "shutdown()");
  EXPECT_EQ(ReadAll(server.get()), "hello");
}

TEST(Tcp, BindsAPortOnce) {
  const Descriptor first = MakeTcpSocket();
  const in_port_t port = BindAnywhere(first);
  const Descriptor second = MakeTcpSocket();
  EXPECT_EQ(Bind(second, kHere, port), -1);
  EXPECT_EQ(errno, EADDRINUSE);
}

TEST(Tcp, RefusesWhatIsNoAddress) {
  try {
    Ipv4("localhost");
    FAIL() << "no error";
  } catch (const CallError& error) {
    EXPECT_STREQ(error.what(),
                 "inet_pton(AF_INET, \"localhost\"): Invalid argument "
                 "(EINVAL)");
  }
}

}  // namespace
}  // namespace steps
