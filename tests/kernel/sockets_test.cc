#include "common/kernel/sockets.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/interfaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"

namespace steps {
namespace {

std::string Receive(int fd) {
  std::array<char, 64> text = {};
  const ssize_t size = recv(fd, text.data(), text.size(), MSG_DONTWAIT);
  return size == -1 ? ErrnoName(errno)
                    : std::string(text.data(), static_cast<std::size_t>(size));
}

TEST(Sockets, DatagramsGoToAPathAndToAnAbstractName) {
  const std::string path = "/tmp/sockets_test." + std::to_string(getpid());
  const std::string abstract = "@sockets_test." + std::to_string(getpid());
  unlink(path.c_str());
  const Descriptor sender(OpenSocket(AF_UNIX, SOCK_DGRAM));
  for (const std::string& name : {path, abstract}) {
    const Descriptor receiver(OpenSocket(AF_UNIX, SOCK_DGRAM));
    ASSERT_EQ(TRY(bind, receiver.get(), name.c_str()), 0) << name;
    EXPECT_EQ(TRY(sendto, sender.get(), "hello", name.c_str()), 0) << name;
    EXPECT_EQ(Receive(receiver.get()), "hello");
    EXPECT_EQ(Receive(receiver.get()), "EAGAIN");
  }
  EXPECT_EQ(TRY(sendto, sender.get(), "hello", abstract.c_str()), ECONNREFUSED);
  EXPECT_EQ(TRY(bind, sender.get(), std::string(200, 'x').c_str()),
            ENAMETOOLONG);
  unlink(path.c_str());
}

TEST(Sockets, TcpConnectsAndRefusesAndWaitsFiveSecondsAtMost) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNET);
    const Descriptor listener(OpenSocket(AF_INET, SOCK_STREAM));
    const Descriptor client(OpenSocket(AF_INET, SOCK_STREAM));
    EXPECT_EQ(TRY(connect, client.get(), "127.0.0.1", 80), ENETUNREACH);
    MUST(ioctl, client.get(), SIOCSIFFLAGS, "lo", IFF_UP);
    EXPECT_EQ(TRY(connect, client.get(), "127.0.0.1", 80), ECONNREFUSED);
    EXPECT_EQ(TRY(bind, listener.get(), "nonsense", 80), EINVAL);
    MUST(bind, listener.get(), "0.0.0.0", 80);
    MUST(listen, listener.get(), 8);
    MUST(connect, client.get(), "127.0.0.1", 80);
    const Descriptor peer(MUST(accept, listener.get()));
    EXPECT_EQ(TRY(accept, listener.get()), EAGAIN);
  });
}

}  // namespace
}  // namespace steps
