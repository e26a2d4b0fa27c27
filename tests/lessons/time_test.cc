#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::MatchesRegex;
using testing::SizeIs;
using testing::StartsWith;

long Days() {
  timespec time = {};
  Check(clock_gettime(CLOCK_MONOTONIC, &time), "clock_gettime()");
  return time.tv_sec / 86'400;
}

// A time namespace in which the clocks are 100 days ahead, and the boot time
// another half second. setns(2) moves the caller, which unshare(2) does not.
void BeAhead() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWTIME);
  WriteAll(Open("/proc/self/timens_offsets", O_WRONLY).get(),
           "monotonic 8640000 0\nboottime 8640000 500000000\n");
  const Descriptor there = Open("/proc/self/ns/time_for_children", O_RDONLY);
  MUST(setns, there.get(), CLONE_NEWTIME);
}

class TimeTest : public LessonTest {
 protected:
  TimeTest() : LessonTest("time") {}
};

INSTANTIATE_TEST_SUITE_P(As, TimeTest, testing::Bool(), UserName);

TEST_P(TimeTest, OnlyMembersAre100DaysAhead) {
  const long earlier = Days();
  const json run = RunJson();
  const long later = Days();
  const struct {
    const char* process;
    long ahead;
  } cases[] = {{"outside", 0}, {"child", 0}, {"inside", 100}, {"visitor", 0}};
  for (const auto& [process, ahead] : cases) {
    const auto values = Values(run, process, "monotonic days");
    ASSERT_THAT(values, SizeIs(1)) << process;
    EXPECT_THAT(std::stol(*values.begin()),
                AllOf(Ge(earlier + ahead), Le(later + ahead)))
        << process;
  }
  EXPECT_EQ(Found(run), "unchanged");
}

TEST_P(TimeTest, OffsetsAreWrittenBeforeTheFirstChildAndRefusedAfterIt) {
  const std::vector<std::string> calls = Calls(RunJson(), "caller");
  ASSERT_GE(calls.size(), 6U);
  EXPECT_EQ(calls[0], "unshare(CLONE_NEWTIME) = 0");
  EXPECT_THAT(calls[2], MatchesRegex("write\\([0-9]+, \"monotonic 8640000 0"
                                     "\\\\nboottime 8640000 0\\\\n\", 39\\) "
                                     "= 39"));
  EXPECT_THAT(calls[3], StartsWith("clone(SIGCHLD) = "));
  EXPECT_THAT(calls[5], testing::EndsWith(" = EACCES"));
}

TEST_P(TimeTest, OnlyTheDateIsShared) {
  for (const json& row : RunJson()["comparison"]) {
    EXPECT_EQ(row["verdict"],
              row["probe"] == "date (UTC)" ? "shared" : "private")
        << row;
  }
}

TEST_P(TimeTest, RunsInsideItself) {
  const json run = RunJson(BeAhead);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Calls(run, "caller"),
              Contains(HasSubstr("monotonic 17280000 0\\nboottime 17280000 "
                                 "500000000")));
}

TEST_P(TimeTest, EntersAUserNamespaceWithoutTheCapabilityToSetClocks) {
  if (as_nobody()) GTEST_SKIP() << "nobody has no capability to lose";
  const json run = RunJson([] { MUST(prctl, PR_CAPBSET_DROP, CAP_SYS_TIME); });
  EXPECT_EQ(run["privilege"], "user namespace");
  EXPECT_EQ(run["verdict"], "holds");
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
