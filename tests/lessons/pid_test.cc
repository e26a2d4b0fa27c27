#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class PidTest : public LessonTest {
 protected:
  PidTest() : LessonTest("pid") {}
};

INSTANTIATE_TEST_SUITE_P(As, PidTest, testing::Bool(), UserName);

// A PID namespace with its own /proc, in which this process is PID 1 and there
// is no other, as in a container.
void EnterContainer() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWPID | CLONE_NEWNS);
  const pid_t pid = MUST(fork);
  if (pid != 0) {
    int status = 0;
    MUST(waitpid, pid, &status, 0);
    _exit(WEXITSTATUS(status));
  }
  MUST(mount, "proc", "/proc", "proc", 0, nullptr);
}

TEST_P(PidTest, InsideIsPid1WithAnotherPidOutside) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "parent's PID"),
              ElementsAre(std::to_string(getpid())));
  EXPECT_THAT(Values(run, "inside", "PID"), ElementsAre("1"));
  EXPECT_THAT(Values(run, "inside", "parent's PID"), ElementsAre("0"));
  EXPECT_THAT(Values(run, "inside", "PID by level"),
              ElementsAre(MatchesRegex("[0-9]+ 1")));
  EXPECT_EQ(Found(run), "0");
  ExpectIsolated(run, {"PID", "parent's PID", "PID namespace"});
}

TEST_P(PidTest, PsInsideShowsTheOuterPid) {
  const json run = RunJson();
  const std::string pid = *Values(run, "inside", "PID in /proc").begin();
  EXPECT_THAT(Values(run, "inside", ""),
              ElementsAre(MatchesRegex(
                  fmt::format(" +PID +PPID COMMAND\n +{} .*", pid))));
}

TEST_P(PidTest, ThirdLevelHasThreePidsAndDoesNotSeeOut) {
  const json run = RunJson();
  const std::string pids = *Values(run, "inner", "PID by level").begin();
  ASSERT_THAT(pids, MatchesRegex("[0-9]+ 2 1"));
  EXPECT_THAT(Calls(run, "inner"),
              ElementsAre(MatchesRegex("kill\\([0-9]+, 0\\) = ESRCH")));
  const std::string outer = pids.substr(0, pids.find(' '));
  EXPECT_THAT(Calls(run, "outside"),
              AllOf(Contains(fmt::format("kill({}, 0) = 0", outer)),
                    Contains(fmt::format("kill({}, 0) = ESRCH", outer))))
      << "before and after the end of PID 1";
}

TEST_P(PidTest, SignalsFromInsideEndOthersButNotPid1) {
  const json run = RunJson();
  EXPECT_THAT(Calls(run, "parent"),
              ElementsAre("kill(1, SIGTERM) = 0", "kill(1, SIGKILL) = 0",
                          "clone(SIGCHLD) = 4"));
  EXPECT_THAT(
      Calls(run, "init"),
      ElementsAre("clone(CLONE_NEWPID | SIGCHLD) = 2", "clone(SIGCHLD) = 3",
                  "kill(3, SIGKILL) = 0", "kill(4, SIGKILL) = 0",
                  "waitpid(4, NULL, WNOHANG) = 4"));
  EXPECT_THAT(Values(run, "orphan", "parent's PID"), ElementsAre("1"));
  EXPECT_THAT(Values(run, "outside", "State"), ElementsAre("Z (zombie)"));
}

TEST_P(PidTest, RunsAsPid1OfAContainer) {
  const json run = RunJson(EnterContainer);
  EXPECT_THAT(Values(run, "outside", "PID"), ElementsAre("1"));
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Run({}, EnterContainer).output, Not(HasSubstr("(ps ")));
}

TEST_P(PidTest, ShellIsInsideAndLeavesNoZombies) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside pid] ");
  terminal.Type("echo parent $PPID\n");
  terminal.ReadTo("\nparent 0\r\n");
  terminal.Type("kill -KILL 1; echo PID 1 is shield''ed\n");
  terminal.ReadTo("\nPID 1 is shielded");
  // What is not reaped can still be found.
  terminal.Type("orphan=$(sleep 1000 > /dev/null & echo $!)\n");
  terminal.Type("kill -KILL $orphan; SECONDS=0\n");
  terminal.Type("while kill -0 $orphan && [ $SECONDS -lt 9 ]; do :; done\n");
  terminal.Type("kill -0 $orphan || echo reap''ed\n");
  terminal.ReadTo("\nreaped");
  terminal.Type("sleep 1000 &\nexit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
