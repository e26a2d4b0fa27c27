#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::MatchesRegex;
using testing::Not;

constexpr std::int64_t kAhead = 8640000;  // 100 days, in seconds.

std::string Here() {
  return std::filesystem::read_symlink("/proc/self/ns/time");
}

// This process's clocks, as the lesson calls them, in whole seconds.
std::map<std::string, std::int64_t> Clocks() {
  const auto now = [](clockid_t clock) {
    timespec time = {};
    Check(clock_gettime(clock, &time), "clock_gettime()");
    return time.tv_sec;
  };
  return {{"monotonic", now(CLOCK_MONOTONIC)},
          {"boottime", now(CLOCK_BOOTTIME)},
          {"uptime", std::stoll(ReadFile("/proc/uptime"))}};
}

std::string Date() {
  return fmt::format("{:%F %T}", fmt::gmtime(std::time(nullptr)));
}

// A time namespace in which the clocks are 100 days ahead, and the boot time
// another half second. setns(2) moves the caller, which unshare(2) does not.
void BeAhead() {
  EnterUserNamespaceAsRoot();
  Check(unshare(CLONE_NEWTIME), "unshare(CLONE_NEWTIME)");
  WriteAll(Open("/proc/self/timens_offsets", O_WRONLY).get(),
           "monotonic 8640000 0\nboottime 8640000 500000000\n");
  const Descriptor there = Open("/proc/self/ns/time_for_children", O_RDONLY);
  Check(setns(there.get(), CLONE_NEWTIME), "setns()");
}

class TimeTest : public LessonTest {
 protected:
  TimeTest() : LessonTest("time") {}

  // A run, and what this process's clocks say before and after it.
  json RunBetween(const std::function<void()>& before = [] {}) {
    earlier_ = Clocks();
    json run = RunJson(before);
    later_ = Clocks();
    return run;
  }

  // Expects that on this side every clock is so many seconds ahead.
  void ExpectAhead(const json& run, const std::string& side,
                   std::int64_t ahead) {
    for (const auto& [clock, seconds] : earlier_) {
      const std::set<std::string> values = Values(run, side, clock);
      EXPECT_THAT(values, Not(IsEmpty()));
      for (const std::string& value : values) {
        EXPECT_THAT(std::stoll(value),
                    AllOf(Ge(seconds + ahead), Le(later_.at(clock) + ahead)))
            << side << ", " << clock;
      }
    }
  }

 private:
  std::map<std::string, std::int64_t> earlier_;
  std::map<std::string, std::int64_t> later_;
};

INSTANTIATE_TEST_SUITE_P(As, TimeTest, testing::Bool(), UserName);

TEST_P(TimeTest, ControlHasTheClocksOfItsParent) {
  const json run = RunBetween();
  EXPECT_THAT(Values(run, "child", "namespace"), ElementsAre(Here()));
  ExpectAhead(run, "child", 0);
}

TEST_P(TimeTest, UnshareMovesTheNextChildAndLeavesItsCaller) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "caller", "namespace"), ElementsAre(Here()));
  EXPECT_THAT(Values(run, "inside", "namespace"), Not(Contains(Here())));
  EXPECT_EQ(Values(run, "inside", "namespace"),
            Values(run, "caller", "next child"));
}

TEST_P(TimeTest, OffsetsAreWrittenBeforeTheFirstChildAndRefusedAfterIt) {
  const json run = RunJson();
  const std::string offsets =
      R"(write\([0-9]+, "monotonic 8640000 0\\nboottime 8640000 0", 38\) = )";
  EXPECT_THAT(
      Calls(run, "caller"),
      ElementsAre("unshare(CLONE_NEWTIME) = 0", testing::StartsWith("open("),
                  MatchesRegex(offsets + "38"),
                  MatchesRegex("clone\\(CLONE_PARENT \\| SIGCHLD\\) = [0-9]+"),
                  testing::StartsWith("open("),
                  MatchesRegex(offsets + "EACCES")));
}

TEST_P(TimeTest, InsideIs100DaysAhead) {
  ExpectAhead(RunBetween(), "inside", kAhead);
}

TEST_P(TimeTest, CallerAndOutsideStayWhereTheyAre) {
  const json run = RunBetween();
  ExpectAhead(run, "caller", 0);
  ExpectAhead(run, "outside", 0);
  EXPECT_THAT(Values(run, "outside", "namespace"), ElementsAre(Here()));
}

TEST_P(TimeTest, DateIsTheSameOnBothSides) {
  const std::string earlier = Date();
  const json run = RunJson();
  const std::string later = Date();
  for (const std::string side : {"outside", "child", "caller", "inside"}) {
    EXPECT_THAT(
        Values(run, side, "realtime"),
        AllOf(Not(IsEmpty()), testing::Each(AllOf(Ge(earlier), Le(later)))));
  }
}

TEST_P(TimeTest, AsksForTheDateInsideAndAnswersWithThatOfTheOutside) {
  const json run = RunJson();
  EXPECT_EQ(run["questions"].size(), 1U);
  const json& question = run["questions"][0];
  EXPECT_EQ(question["found"], question["answers"][0]);
  EXPECT_NE(question["answers"][0], question["answers"][1]);
}

TEST_P(TimeTest, ComparisonIsIsolatedInEveryRowButTheDate) {
  const json run = RunJson();
  json isolated = {{"comparison", json::array()}};
  for (const json& row : run["comparison"]) {
    if (row["probe"] != "realtime") {
      isolated["comparison"].push_back(row);
    } else {
      EXPECT_EQ(row["verdict"], "shared");
    }
  }
  ExpectIsolated(isolated, {"monotonic", "boottime", "uptime", "namespace"});
  EXPECT_EQ(run["comparison"].size(), 5U);
}

TEST_P(TimeTest, RunsInsideItself) {
  const json run = RunBetween(BeAhead);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Calls(run, "caller"),
              Contains(HasSubstr("monotonic 17280000 0\\nboottime 17280000 "
                                 "500000000")));
  EXPECT_THAT(Values(run, "inside", "monotonic"), Not(IsEmpty()));
  for (const std::string& value : Values(run, "inside", "monotonic")) {
    EXPECT_GE(std::stoll(value), 2 * kAhead);
  }
}

TEST_P(TimeTest, CannotRunWithoutTheCapabilityToSetClocks) {
  if (as_nobody()) GTEST_SKIP() << "a user namespace of one's own gives it";
  const Result result = Run({}, [] {
    Check(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME), "prctl(PR_CAPBSET_DROP)");
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("EPERM"), HasSubstr("CAP_SYS_TIME"),
                    HasSubstr("ordinary user")));
}

// On a terminal the lesson has more children: they wait for a key.
TEST_P(TimeTest, HoldsStepByStep) {
  Terminal terminal({.program = program(),
                     .arguments = {"--auto", "0.01"},
                     .as_nobody = as_nobody()});
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(), HasSubstr("6 of 6 claims hold."));
}

TEST_P(TimeTest, ShellIsAhead) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside time] ");
  terminal.Type("read up idle </proc/uptime\n");
  terminal.Type("echo \"days $((${up%.*} / 86400 >= 100))\"\n");
  terminal.ReadTo("\ndays 1\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
