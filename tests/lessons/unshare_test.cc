#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
#include "tests/support/lesson_run.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::MatchesRegex;
using testing::SizeIs;

class UnshareTest : public LessonTest {
 protected:
  UnshareTest() : LessonTest("unshare") {}

  static std::string Here(const std::string& kind) {
    return std::filesystem::read_symlink("/proc/self/ns/" + kind);
  }
};

INSTANTIATE_TEST_SUITE_P(As, UnshareTest, testing::Bool(), UserName);

TEST_P(UnshareTest, CallerMovesAndItsSiblingStays) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "UTS namespace"),
              ElementsAre(testing::Ne(Here("uts"))));
  EXPECT_THAT(Values(run, "inside", "PID namespace"), ElementsAre(Here("pid")));
  EXPECT_THAT(Values(run, "sibling", "UTS namespace"),
              ElementsAre(Here("uts")));
  EXPECT_THAT(Calls(run, "inside"), ElementsAre("unshare(CLONE_NEWUTS) = 0"));
}

TEST_P(UnshareTest, PidNamespaceIsForTheNextChildrenWhilePid1Lives) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "caller", "PID namespace"), SizeIs(1));
  EXPECT_THAT(Values(run, "caller", "PID"), ElementsAre(Found(run)));
  EXPECT_THAT(Values(run, "first", "PID"), ElementsAre("1"));
  EXPECT_EQ(Values(run, "first", "PID namespace"),
            Values(run, "caller", "its children's"));
  EXPECT_THAT(Calls(run, "caller"),
              IsSupersetOf({MatchesRegex("clone\\(SIGCHLD\\) = ENOMEM"),
                            MatchesRegex("setns\\(4, CLONE_NEWPID\\) = 0")}));
}

TEST_P(UnshareTest, ThreadsPartButNotInTheirUserNamespace) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "process", "second thread's"),
              ElementsAre(testing::Ne(Here("uts"))));
  EXPECT_THAT(Values(run, "process", "UTS namespace"),
              ElementsAre(Here("uts")));
  EXPECT_THAT(Calls(run, "process"),
              ElementsAre("unshare(CLONE_NEWUTS) = 0",
                          "unshare(CLONE_NEWUSER) = EINVAL"));
  EXPECT_THAT(Calls(run, "alone"), ElementsAre("unshare(CLONE_NEWUSER) = 0"));
}

TEST_P(UnshareTest, SkipsTheClaimThatNeedsAUserNamespace) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("user.max_user_namespaces is 0"));
  }
  EXPECT_EQ(skipped, 1);
}

}  // namespace
}  // namespace steps
