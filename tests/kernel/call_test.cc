#include "common/kernel/call.h"

#include "tests/support/test.h"

namespace steps {
namespace {

using testing::StrEq;

// Functions that stand in for system calls: they only answer.
int fake_unshare(int) {
  errno = EPERM;
  return -1;
}
int fake_kill(pid_t, int) { return 0; }

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

TEST(ErrnoName, IsANumberWhereThereIsNone) {
  EXPECT_EQ(ErrnoName(99999), "errno 99999");
}

}  // namespace
}  // namespace steps
