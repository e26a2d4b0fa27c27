#include "common/kernel/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/kernel/call.h"

namespace steps {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(Descriptor, ClosesWhatItOwns) {
  int fd = -1;
  {
    const Descriptor descriptor = Open("/dev/null", O_RDONLY);
    fd = descriptor.get();
    EXPECT_TRUE(IsOpen(fd));
  }
  EXPECT_FALSE(IsOpen(fd));
}

TEST(Descriptor, MovesAndClosesOnce) {
  Descriptor from = Open("/dev/null", O_RDONLY);
  const int fd = from.get();
  Descriptor to = std::move(from);
  EXPECT_EQ(from.get(), -1);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(to.get(), fd);
  to = Open("/dev/null", O_RDONLY);
  EXPECT_FALSE(IsOpen(fd));
  to.Close();
  to.Close();
}

TEST(Descriptor, IsClosedByExec) {
  const Descriptor descriptor = Open("/dev/null", O_RDONLY);
  EXPECT_EQ(fcntl(descriptor.get(), F_GETFD), FD_CLOEXEC);
}

TEST(Open, NamesThePathThatItCannotOpen) {
  try {
    Open("/nonexistent/file", O_RDONLY);
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.call().name(), "open");
    EXPECT_EQ(error.error(), ENOENT);
  }
}

TEST(WriteAll, WritesMoreThanOneCallTakes) {
  const Descriptor file(memfd_create("file", MFD_CLOEXEC));
  const std::string text(1 << 20, 'x');
  WriteAll(file.get(), text);
  lseek(file.get(), 0, SEEK_SET);
  EXPECT_EQ(ReadAll(file.get()), text);
}

TEST(WriteAll, FailsOnAFullDisk) {
  const Descriptor full = Open("/dev/full", O_WRONLY);
  try {
    WriteAll(full.get(), "x");
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
  }
}

TEST(ReadFile, FailsOnADirectory) { EXPECT_THROW(ReadFile("/"), CallError); }

}  // namespace
}  // namespace steps
