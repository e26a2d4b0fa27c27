#include "common/kernel/descriptor.h"

#include "tests/support/test.h"

namespace steps {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(Descriptor, ClosesWhatItOwnsOnce) {
  int fd = -1;
  {
    Descriptor from = Open("/dev/null", O_RDONLY);
    fd = from.get();
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    Descriptor to = std::move(from);
    EXPECT_EQ(from.get(), -1);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(to.get(), fd);
    to = Open("/dev/null", O_RDONLY);
    EXPECT_FALSE(IsOpen(fd));
    fd = to.get();
    EXPECT_TRUE(IsOpen(fd));
  }
  EXPECT_FALSE(IsOpen(fd));
}

TEST(Files, FailWithTheCallAndItsErrno) {
  EXPECT_THAT(
      [] { Open("/nonexistent/file", O_RDONLY); },
      ThrowsMessage<CallError>(AllOf(StartsWith("open(\"/nonexistent/file\""),
                                     EndsWith("(ENOENT)"))));
  EXPECT_THAT([] { WriteAll(Open("/dev/full", O_WRONLY).get(), "x"); },
              ThrowsMessage<CallError>(EndsWith("(ENOSPC)")));
  EXPECT_THAT([] { ReadFile("/"); },
              ThrowsMessage<CallError>(EndsWith("(EISDIR)")));
}

}  // namespace
}  // namespace steps
