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

using testing::ElementsAre;
using testing::IsEmpty;

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
  std::vector<std::string> texts;
  for (const Call& call : calls_) texts.push_back(call.text);
  EXPECT_THAT(texts, ElementsAre("fake_kill(4711, SIGKILL)",
                                 "fake_mount(\"tmpfs\", \"/mnt/a, b\", NULL, "
                                 "MS_REC | MS_PRIVATE, NULL)",
                                 "fake_write(3, \"one\\ntwo\", 9)"));
  EXPECT_EQ(calls_[1].name(), "fake_mount");
  EXPECT_EQ(calls_[2].result, 7);
}

TEST_F(CallTest, KeepsTheNamesOfFlagsAndOctalNumbers) {
  CALL(fake_write, 0644, "", 0x10);
  EXPECT_EQ(calls_.at(0).text, "fake_write(0644, \"\", 0x10)");
}

TEST_F(CallTest, ThrowsWithTheErrnoOfTheCall) {
  try {
    CALL(fake_unshare, CLONE_NEWUTS | CLONE_NEWNS);
    FAIL() << "it failed, and nothing was thrown";
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), EPERM);
    EXPECT_EQ(error.call().namespaces, CLONE_NEWUTS | CLONE_NEWNS);
    EXPECT_STREQ(error.what(),
                 "fake_unshare(CLONE_NEWUTS | CLONE_NEWNS): Operation not "
                 "permitted (EPERM)");
  }
  EXPECT_EQ(calls_.at(0).error, EPERM);  // It was told all the same.
}

TEST_F(CallTest, TryGivesTheErrno) {
  EXPECT_EQ(TRY(fake_unshare, CLONE_NEWUTS), EPERM);
  EXPECT_EQ(TRY(fake_kill, 1, 0), 0);
  EXPECT_EQ(calls_.size(), 2U);
}

TEST_F(CallTest, MustTellsNobody) {
  EXPECT_EQ(MUST(fake_kill, 1, 0), 0);
  EXPECT_THROW(MUST(fake_unshare, CLONE_NEWUTS), CallError);
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(CallTest, IsNotMisledByWhatItsObserverDoes) {
  ObserveCalls([](const Call&) { errno = ENOENT; });
  EXPECT_EQ(TRY(fake_unshare, CLONE_NEWUTS), EPERM);
}

TEST(CallError, NamesTheCallAndItsErrno) {
  const CallError error(EPERM, "sethostname(\"web\", 3)");
  EXPECT_STREQ(error.what(),
               "sethostname(\"web\", 3): Operation not permitted (EPERM)");
  EXPECT_EQ(error.call().name(), "sethostname");
  EXPECT_EQ(ErrnoName(ENOSPC), "ENOSPC");
  EXPECT_EQ(ErrnoName(99999), "errno 99999");
}

TEST(Check, ThrowsWithTheErrnoOfTheCall) {
  EXPECT_EQ(Check(7, "open(\"{}\")", "/x"), 7);
  try {
    Check(open("/nonexistent", O_RDONLY), "open(\"{}\")", "/nonexistent");
    FAIL() << "open must fail";
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_EQ(error.call().text, "open(\"/nonexistent\")");
  }
}

}  // namespace
}  // namespace steps
