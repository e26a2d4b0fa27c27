#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
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

TEST_P(UnshareTest, CloneMovesTheChildAndLeavesTheCaller) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "namespace"), ElementsAre(Here("uts")));
  EXPECT_THAT(Values(run, "child", "namespace"), SizeIs(1));
  EXPECT_NE(Values(run, "child", "namespace"),
            Values(run, "outside", "namespace"));
}

TEST_P(UnshareTest, CallerMovesAndKeepsItsPid) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "PID"), SizeIs(1));
  EXPECT_THAT(Values(run, "inside", "namespace"),
              AllOf(SizeIs(2), Contains(Here("uts"))));
  EXPECT_THAT(Values(run, "inside", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Calls(run, "inside"),
              ElementsAre("unshare(CLONE_NEWUTS) = 0",
                          "sethostname(\"container_001\", 13) = 0"));
}

TEST_P(UnshareTest, SiblingStays) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "sibling", "namespace"), ElementsAre(Here("uts")));
  EXPECT_EQ(Values(run, "sibling", "hostname"),
            Values(run, "outside", "hostname"));
}

TEST_P(UnshareTest, PidNamespaceIsForTheNextChildrenOnly) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "caller", "namespace"), ElementsAre(Here("pid")));
  EXPECT_THAT(Values(run, "caller", "PID"), SizeIs(1));
  EXPECT_THAT(Values(run, "first", "PID"), ElementsAre("1"));
  std::set<std::string> next = Values(run, "first", "namespace");
  EXPECT_THAT(next, SizeIs(1));
  next.insert({Here("pid"), "ENOENT"});
  EXPECT_THAT(next, SizeIs(3));
  EXPECT_EQ(Values(run, "caller", "next child"), next)
      << "before, without a child, and with the first";
}

TEST_P(UnshareTest, NoChildFollowsTheEndOfPid1) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "second", "PID"), ElementsAre("2"));
  EXPECT_EQ(Values(run, "second", "namespace"),
            Values(run, "first", "namespace"));
  EXPECT_THAT(Values(run, "caller", "PID 1"), ElementsAre("exit status 0"));
  EXPECT_THAT(Calls(run, "caller"),
              ElementsAre("unshare(CLONE_NEWPID) = 0",
                          MatchesRegex("clone\\(SIGCHLD\\) = [0-9]+"),
                          MatchesRegex("clone\\(SIGCHLD\\) = [0-9]+"),
                          "clone(SIGCHLD) = ENOMEM"));
  EXPECT_EQ(Found(run), "ENOMEM");
}

TEST_P(UnshareTest, SecondThreadKeepsTheUserNamespace) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "process", "Threads"), ElementsAre("1", "2"));
  EXPECT_THAT(Calls(run, "process"),
              ElementsAre("unshare(CLONE_NEWUSER) = 0",
                          "unshare(CLONE_NEWUSER) = EINVAL"));
}

TEST_P(UnshareTest, RunsInsideItself) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
    Check(sethostname("container_001", 13), "sethostname()");
  });
  EXPECT_THAT(Values(run, "inside", "hostname"), ElementsAre("container_002"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(UnshareTest, SkipsTheClaimThatNeedsAUserNamespaceOfItsOwn) {
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
