#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

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
using testing::SizeIs;

class PidTest : public LessonTest {
 protected:
  PidTest() : LessonTest("pid") {}

  // What `side` answers to `probe`, when it gives one answer.
  static std::string Value(const json& run, const std::string& side,
                           const std::string& probe) {
    const std::set<std::string> values = Values(run, side, probe);
    EXPECT_THAT(values, SizeIs(1)) << side << " " << probe;
    return values.empty() ? "" : *values.begin();
  }

  // The PIDs that clone(2) gave to the lesson: an ordinary child, the child
  // inside, and the PID 1 that ends.
  static std::vector<std::string> Cloned(const json& run) {
    std::vector<std::string> pids;
    for (const json& call : run["calls"]) {
      if (call["side"] == "outside" &&
          call["call"].get<std::string>().starts_with("clone(")) {
        pids.push_back(call["result"].dump());
      }
    }
    EXPECT_THAT(pids, SizeIs(3));
    return pids;
  }
};

INSTANTIATE_TEST_SUITE_P(As, PidTest, testing::Bool(), UserName);

// A PID namespace with a /proc of its own, in which this process is PID 1 and
// there is no other, as in a container.
void EnterContainer() {
  EnterUserNamespaceAsRoot();
  Check(unshare(CLONE_NEWPID | CLONE_NEWNS), "unshare()");
  const pid_t pid = Check(fork(), "fork()");
  if (pid != 0) {
    int status = 0;
    Check(waitpid(pid, &status, 0), "waitpid({})", pid);
    _exit(WEXITSTATUS(status));
  }
  Check(mount("proc", "/proc", "proc", 0, nullptr), "mount(\"/proc\")");
}

TEST_P(PidTest, OutsideIsThisMachine) {
  const json run = RunJson();
  EXPECT_EQ(Value(run, "outside", "PPID"), std::to_string(getpid()));
  EXPECT_EQ(Value(run, "outside", "namespace"),
            std::filesystem::read_symlink("/proc/self/ns/pid").string());
  EXPECT_THAT(Values(run, "outside", "NSpid"),
              Contains(Value(run, "outside", "PID")));
}

TEST_P(PidTest, ControlIsNumberedAsItsParentIs) {
  const json run = RunJson();
  std::map<std::string, std::string> control;
  for (const json& entry : run["evidence"]) {
    if (entry["step"] == 2) control[entry["probe"]] = entry["value"];
  }
  EXPECT_EQ(control["PID"], Cloned(run)[0]);
  EXPECT_EQ(control["NSpid"], Cloned(run)[0]);
  EXPECT_EQ(control["PPID"], Value(run, "outside", "PID"));
  EXPECT_EQ(control["namespace"], Value(run, "outside", "namespace"));
}

TEST_P(PidTest, InsideIsPid1AndOutsideWhatCloneReturned) {
  const json run = RunJson();
  const std::string outer = Cloned(run)[1];
  EXPECT_EQ(Value(run, "inside", "PID"), "1");
  EXPECT_EQ(Value(run, "inside", "PPID"), "0");
  EXPECT_EQ(Found(run), "0");
  EXPECT_EQ(Value(run, "inside", "NSpid"), outer + " 1");
  EXPECT_THAT(Values(run, "outside", "NSpid"), Contains(outer + " 1"));
  EXPECT_NE(Value(run, "inside", "namespace"),
            Value(run, "outside", "namespace"));
}

TEST_P(PidTest, PsInsideHasTheNumbersOfTheOutside) {
  const json run = RunJson();
  const std::string outside = Value(run, "outside", "PID");
  const std::string inside = Cloned(run)[1];
  const auto inode = [&](const std::string& side) {
    const std::string link = Value(run, side, "namespace");
    return link.substr(5, link.size() - 6);  // Of "pid:[4026531836]".
  };
  EXPECT_THAT(Values(run, "inside", "in /proc"),
              ElementsAre(MatchesRegex(fmt::format(
                              " +PID +PPID +PIDNS\n +{} +{} {}\n +{} +{} {}",
                              outside, getpid(), inode("outside"), inside,
                              outside, inode("inside"))),
                          inside));
}

TEST_P(PidTest, ThirdLevelHasThreePidsAndDoesNotSeeOut) {
  const json run = RunJson();
  const std::string pids = Value(run, "inner", "NSpid");
  ASSERT_THAT(pids, MatchesRegex("[0-9]+ 2 1"));
  EXPECT_EQ(Value(run, "inner", "PPid"), Cloned(run)[2]);
  EXPECT_THAT(Calls(run, "inner"),
              ElementsAre(fmt::format("kill({}, 0) = ESRCH", Cloned(run)[2])));
  EXPECT_THAT(
      Calls(run, "outside"),
      Contains(fmt::format("kill({}, 0) = 0", pids.substr(0, pids.find(' ')))));
}

TEST_P(PidTest, SignalsFromInsideEndOthersButNotPid1) {
  const json run = RunJson();
  EXPECT_THAT(Calls(run, "child"),
              ElementsAre("kill(1, SIGTERM) = 0", "kill(1, SIGKILL) = 0",
                          "clone(SIGCHLD) = 4"));
  EXPECT_THAT(
      Calls(run, "inside"),
      ElementsAre("clone(CLONE_NEWPID | SIGCHLD) = 2", "kill(1, SIGTERM) = 0",
                  "kill(1, SIGKILL) = 0", "clone(SIGCHLD) = 3",
                  "kill(3, SIGTERM) = 0", "kill(3, SIGKILL) = 0",
                  "wait4(-1, NULL, 0, NULL) = 4", "kill(4, 0) = ESRCH"));
  EXPECT_EQ(Value(run, "inside", "child"), "killed by SIGTERM");
}

TEST_P(PidTest, OrphanIsAdoptedByPid1AndIsAZombieUntilItIsReaped) {
  const json run = RunJson();
  EXPECT_EQ(Value(run, "orphan", "PID"), "4");
  EXPECT_THAT(Values(run, "orphan", "PPID"), ElementsAre("1", "3"));
  EXPECT_EQ(Value(run, "outside", "State"), "Z (zombie)");
  EXPECT_EQ(Value(run, "inside", "errno"), "ESRCH");
}

TEST_P(PidTest, EverythingInsideEndsWithPid1) {
  const json run = RunJson();
  const std::string pids = Value(run, "inner", "NSpid");
  const std::vector<std::string> calls = Calls(run, "outside");
  ASSERT_GE(calls.size(), 2U);
  EXPECT_EQ(calls.end()[-2],
            fmt::format("kill({}, SIGKILL) = 0", Cloned(run)[2]));
  EXPECT_EQ(calls.end()[-1],
            fmt::format("kill({}, 0) = ESRCH", pids.substr(0, pids.find(' '))));
  EXPECT_EQ(Value(run, "outside", "inside"), "killed by SIGKILL");
}

TEST_P(PidTest, EndsOrdinaryProcessesWhereSigtermIsIgnored) {
  const json run = RunJson([] { std::signal(SIGTERM, SIG_IGN); });
  EXPECT_EQ(Value(run, "inside", "child"), "killed by SIGKILL");
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(PidTest, RunsAsPid1OfAContainer) {
  const json run = RunJson(EnterContainer);
  EXPECT_EQ(Value(run, "outside", "PID"), "1");
  EXPECT_EQ(run["verdict"], "holds");
  // ps looks for itself in /proc, and fails where it does not find itself.
  EXPECT_THAT(Run({}, EnterContainer).output,
              AllOf(HasSubstr(" $ ps -o pid,ppid,pidns -p 1,"),
                    Not(HasSubstr("(ps "))));
}

TEST_P(PidTest, ShellIsInsideAndLeavesNoZombies) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside pid] ");
  terminal.Type("echo parent $PPID, number $$\n");
  // 2 was ps.
  terminal.ReadTo("\nparent 0, number 3\r\n");
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
