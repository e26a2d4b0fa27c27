#include "common/datagram.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/call_error.h"
#include "common/descriptor.h"

namespace steps {
namespace {

// In a folder of the test's own; relative, because a socket's is short.
class Datagram : public testing::Test {
 protected:
  void SetUp() override {
    Check(chdir(getenv("TEST_TMPDIR")), "chdir(TEST_TMPDIR)");
  }
};

// Of this process alone: an abstract name is in no folder.
std::string Path() { return fmt::format("socket.{}", getpid()); }

int ErrnoOfSendTo(const std::string& path) {
  try {
    SendTo(path, "lost");
  } catch (const CallError& error) {
    return error.error();
  }
  return 0;
}

TEST_F(Datagram, ArrivesAtAPath) {
  const Descriptor socket = ReceiveAt(Path());
  SendTo(Path(), "one");
  SendTo(Path(), "two");
  EXPECT_EQ(Receive(socket), "one");
  EXPECT_EQ(Receive(socket), "two");
  std::filesystem::remove(Path());
}

TEST_F(Datagram, ArrivesAtAnAbstractNameThatIsNoFile) {
  const std::string name = '\0' + Path();
  const Descriptor socket = ReceiveAt(name);
  SendTo(name, "one");
  EXPECT_EQ(Receive(socket), "one");
  EXPECT_FALSE(std::filesystem::exists(Path()));
  EXPECT_EQ(ErrnoOfSendTo(name + "0"), ECONNREFUSED);
}

TEST_F(Datagram, ThrowsWhereNobodyReceives) {
  EXPECT_EQ(ErrnoOfSendTo(Path()), ENOENT);
  { const Descriptor gone = ReceiveAt(Path()); }
  EXPECT_EQ(ErrnoOfSendTo(Path()), ECONNREFUSED);
  EXPECT_THROW(ReceiveAt(Path()), CallError) << "the path is taken";
  std::filesystem::remove(Path());
}

TEST_F(Datagram, ThrowsForAPathThatIsTooLong) {
  EXPECT_EQ(ErrnoOfSendTo(std::string(200, 'x')), ENAMETOOLONG);
}

TEST_F(Datagram, DoesNotWait) {
  const Descriptor socket = ReceiveAt('\0' + Path());
  EXPECT_THROW(Receive(socket), CallError);
}

}  // namespace
}  // namespace steps
