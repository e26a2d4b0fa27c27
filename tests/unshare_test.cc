#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/descriptor.h"
#include "tests/lesson_run.h"
#include "tests/process.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
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
  EXPECT_THAT(Values(run, "inside", "hostname"),
              AllOf(SizeIs(2), Contains("container_001")));
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

TEST_P(UnshareTest, PidNamespaceTakesInTheNextChildOnly) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "caller", "namespace"), ElementsAre(Here("pid")));
  EXPECT_THAT(Values(run, "caller", "PID"), SizeIs(1));
  EXPECT_THAT(Values(run, "first", "PID"), ElementsAre("1"));
  EXPECT_EQ(Values(run, "first", "namespace"),
            Values(run, "caller", "next child"));
  EXPECT_NE(Values(run, "first", "namespace"),
            Values(run, "caller", "namespace"));
  EXPECT_EQ(Calls(run, "caller").back(), "clone(SIGCHLD) = ENOMEM");
}

TEST_P(UnshareTest, SecondThreadKeepsTheUserNamespace) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "alone", "threads"), ElementsAre("1"));
  EXPECT_THAT(Calls(run, "alone"), ElementsAre("unshare(CLONE_NEWUSER) = 0"));
  EXPECT_THAT(Values(run, "threaded", "threads"), ElementsAre("2"));
  EXPECT_THAT(Calls(run, "threaded"),
              ElementsAre("unshare(CLONE_NEWUSER) = EINVAL"));
}

TEST_P(UnshareTest, SkipsTheClaimThatNeedsAUserNamespaceOfItsOwn) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_TRUE(run["claims"].back()["holds"].is_null());
}

}  // namespace
}  // namespace steps
