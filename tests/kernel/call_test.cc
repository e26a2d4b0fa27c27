#include "common/kernel/call.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

namespace steps {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::Property;
using testing::StrEq;
using testing::Throws;
using testing::ThrowsMessage;

// Functions that stand in for system calls: they only answer.
int Answer(int result, int error) {
  errno = error;
  return result;
}
int fake_mount(const char*, const char*, const char*, unsigned long,
               const void*) {
  return Answer(0, 0);
}
int fake_unshare(int) { return Answer(-1, EPERM); }
int fake_kill(pid_t, int) { return Answer(0, 0); }
int fake_write(int, const char* text, unsigned long) {
  return Answer(static_cast<int>(std::string(text).size()), 0);
}

class CallTest : public testing::Test {
 protected:
  CallTest() {
    ObserveCalls([this](const Call& call) { calls_.push_back(call); });
  }
  ~CallTest() override {
    ObserveCalls([](const Call&) {});
  }
  std::vector<Call> calls_;
};

TEST_F(CallTest, IsToldInTheWordsOfStrace) {
  const pid_t pid = 4711;
  const std::string target = "/mnt/a, b";
  CALL(fake_kill, pid, SIGKILL);
  CALL(fake_mount, "tmpfs", target.c_str(), nullptr, MS_REC | MS_PRIVATE,
       nullptr);
  CALL(fake_write, 3, "one\ntwo", target.size());
  CALL(fake_write, 0644, "", 0x10);
  EXPECT_THAT(calls_,
              ElementsAre(Field(&Call::text, "fake_kill(4711, SIGKILL)"),
                          Field(&Call::text,
                                "fake_mount(\"tmpfs\", \"/mnt/a, b\", NULL, "
                                "MS_REC | MS_PRIVATE, NULL)"),
                          Field(&Call::text, "fake_write(3, \"one\\ntwo\", 9)"),
                          Field(&Call::text, "fake_write(0644, \"\", 0x10)")));
  EXPECT_EQ(calls_[2].result, 7);
}

TEST_F(CallTest, ThrowsWithTheErrnoOfTheCall) {
  const auto refused = Throws<CallError>(
      AllOf(Property(&CallError::error, EPERM),
            Property(&CallError::what,
                     StrEq("fake_unshare(CLONE_NEWUTS | CLONE_NEWNS): "
                           "Operation not permitted (EPERM)"))));
  EXPECT_THAT([] { CALL(fake_unshare, CLONE_NEWUTS | CLONE_NEWNS); }, refused);
  EXPECT_THAT(calls_, ElementsAre(Field(&Call::error, EPERM)));
  EXPECT_THAT([] { MUST(fake_unshare, CLONE_NEWUTS | CLONE_NEWNS); }, refused);
  EXPECT_EQ(MUST(fake_kill, 1, 0), 0);
  EXPECT_EQ(calls_.size(), 1U) << "MUST tells nobody";
}

TEST_F(CallTest, TryGivesTheErrno) {
  EXPECT_EQ(TRY(fake_unshare, CLONE_NEWUTS), EPERM);
  EXPECT_EQ(TRY(fake_kill, 1, 0), 0);
  EXPECT_EQ(calls_.size(), 2U);
  ObserveCalls([](const Call&) { errno = ENOENT; });
  EXPECT_EQ(TRY(fake_unshare, CLONE_NEWUTS), EPERM);
}

TEST(Check, ThrowsWithTheErrnoOfTheCall) {
  EXPECT_EQ(Check(7, "open(\"{}\")", "/x"), 7);
  EXPECT_THAT(
      [] {
        Check(open("/nonexistent", O_RDONLY), "open(\"{}\")", "/nonexistent");
      },
      ThrowsMessage<CallError>(
          "open(\"/nonexistent\"): No such file or directory (ENOENT)"));
  EXPECT_EQ(ErrnoName(99999), "errno 99999");
}

}  // namespace
}  // namespace steps
