#include "common/call_error.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace steps {
namespace {

TEST(CallError, NamesTheCallItsArgumentsAndItsErrno) {
  const CallError error(EPERM, "sethostname(\"web\", 3)");
  EXPECT_STREQ(error.what(),
               "sethostname(\"web\", 3): Operation not permitted (EPERM)");
  EXPECT_EQ(error.call(), "sethostname(\"web\", 3)");
  EXPECT_EQ(error.error(), EPERM);
}

TEST(CallError, NamesAnErrnoThatHasNoName) {
  EXPECT_EQ(ErrnoName(ENOSPC), "ENOSPC");
  EXPECT_EQ(ErrnoName(99999), "errno 99999");
}

TEST(Check, GivesBackWhatTheCallReturned) {
  EXPECT_EQ(Check(7, "open(\"{}\")", "/x"), 7);
  EXPECT_EQ(Check(-2L, "read()"), -2L);
}

TEST(Check, ThrowsWithTheErrnoOfTheCall) {
  try {
    Check(open("/nonexistent", O_RDONLY), "open(\"{}\")", "/nonexistent");
    FAIL() << "open must fail";
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_EQ(error.call(), "open(\"/nonexistent\")");
  }
}

}  // namespace
}  // namespace steps
