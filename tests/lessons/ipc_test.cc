#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/sabotage.h"
#include "tests/support/seccomp.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

class IpcTest : public LessonTest {
 protected:
  IpcTest() : LessonTest("ipc") {}
};

INSTANTIATE_TEST_SUITE_P(As, IpcTest, testing::Bool(), UserName);

// For every claim that was skipped, why.
std::vector<std::string> Skipped(const json& run) {
  std::vector<std::string> reasons;
  for (const json& claim : run["claims"]) {
    if (claim["holds"].is_null()) reasons.push_back(claim["reason"]);
  }
  return reasons;
}

TEST_P(IpcTest, EitherSideHasItsOwnObjects) {
  const json run = RunJson();
  EXPECT_EQ(Found(run), "ENOENT");
  ExpectIsolated(run, {"keys in use", "IPC namespace"});
  EXPECT_THAT(Values(run, "host", ""),
              ElementsAre(HasSubstr("\n0x00000001 0 ")));
  EXPECT_THAT(Values(run, "inside", ""),
              ElementsAre(HasSubstr("\n0x00000002 0 ")));
  EXPECT_THAT(Calls(run, "other"),
              Contains(MatchesRegex("mq_open.* = [0-9]+")));
  EXPECT_THAT(Calls(run, "host"),
              Contains("mq_open(\"/new\", O_RDONLY) = ENOENT"));
}

TEST_P(IpcTest, DoesWithoutTheToolAndSaysSo) {
  const json run = RunJson([] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "inside", ""),
              ElementsAre("(ipcs is not installed)"));
}

// What the lesson takes that refusal for: it comes when the namespace has
// ended, and not as long as a descriptor holds it.
TEST(MqueueMount, RefusesANewQueueOnceItsNamespaceHasEnded) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    MakeMountsPrivate();
    MountTmpfs("/tmp");
    Process self = Process::Quiet();
    auto member = std::make_unique<Process>(self.Clone("", CLONE_NEWIPC));
    member->Run([] { MUST(mount, "mqueue", "/tmp", "mqueue", 0, nullptr); });
    Descriptor held = Open(fmt::format("/proc/{}/ns/ipc", member->pid()), 0);
    member.reset();
    EXPECT_EQ(TRY(open, "/tmp/held", O_CREAT, 0600), 0);
    held.Close();
    EXPECT_EQ(TRY(open, "/tmp/ended", O_CREAT, 0600), EACCES);
    EXPECT_EQ(TRY(open, "/tmp/held", O_CREAT, 0600), 0) << "is left";
  });
}

TEST_P(IpcTest, DoesWithoutDevShm) {
  const json run = RunJson(EnterMachineWithoutShm);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run), IsEmpty());
  EXPECT_THAT(Calls(run, "host"),
              Contains("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL) = 0"));
}

// The search for another directory must not change what a refusal says.
TEST(IpcLies, RefusedMountIsNamedWithoutDevShm) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  const LieResult result = RunWithLie(
      {.program = "lessons/ipc",
       .before =
           [] {
             EnterMachineWithoutShm();
             FilterCalls({{SYS_acct, EPERM}});  // What may be blamed for it.
           }},
      {.call = "mount", .answer = -EPERM, .path = "tmpfs"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77") << result.output;
  EXPECT_THAT(result.errors,
              HasSubstr("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL): "
                        "Operation not permitted (EPERM)"));
}

// The first limit is too small for a queue; the second takes one, unless this
// user has others.
TEST_P(IpcTest, SkipsPosixQueuesThatExceedTheLimit) {
  for (const rlim_t limit : {80'000, 83'000}) {
    const json run = RunJson([limit] {
      const rlimit small = {limit, limit};
      MUST(setrlimit, RLIMIT_MSGQUEUE, &small);
    });
    EXPECT_EQ(run["verdict"], "holds");
    const std::vector<std::string> skipped = Skipped(run);
    EXPECT_THAT(skipped, Each(HasSubstr("ulimit -q")));
    EXPECT_THAT(skipped.size(), AnyOf(limit == 83'000 ? 0U : 2U, 2U));
  }
}

// A user's POSIX queues have one limit in all namespaces together.
TEST_P(IpcTest, RunsManyTimesAtOnce) {
  std::vector<std::unique_ptr<Program>> runs(20);
  for (auto& run : runs) {
    run = std::make_unique<Program>(
        Command{.program = program(), .as_nobody = as_nobody()});
  }
  for (const auto& run : runs) {
    const Result result = run->Await();
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0")
        << result.errors << result.output;
  }
}

TEST_P(IpcTest, ShellIsInside) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside ipc] ");
  terminal.Type("ipcmk -Q\n");
  terminal.ReadTo("\nMessage queue id: 1\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
