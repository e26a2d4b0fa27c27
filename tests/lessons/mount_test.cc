#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

class MountTest : public LessonTest {
 protected:
  MountTest() : LessonTest("mount") {}
};

INSTANTIATE_TEST_SUITE_P(As, MountTest, testing::Bool(), UserName);

void EnterMountNamespace() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

// As container engines do: the mount is locked for a further user namespace.
void MaskProc() {
  EnterMountNamespace();
  MUST(mount, "none", "/proc/tty", "tmpfs", 0, nullptr);
  EnterUserNamespaceAsRoot();
}

TEST_P(MountTest, PropagationDecidesWhoGetsAMount) {
  const json run = RunJson();
  EXPECT_EQ(Found(run), "yes");
  EXPECT_THAT(Values(run, "copy", "tag of /mnt"),
              ElementsAre(MatchesRegex("shared:[0-9]+ \\(peers\\)")));
  EXPECT_THAT(Values(run, "private", "tag of /mnt"),
              ElementsAre("none (private)"));
  EXPECT_THAT(Values(run, "private", "on /mnt/host"), ElementsAre("nothing"));
  EXPECT_THAT(Values(run, "slave", "tag of /mnt"),
              ElementsAre(MatchesRegex("master:[0-9]+ \\(slave\\)")));
  EXPECT_THAT(Values(run, "slave", "on /mnt/host"), ElementsAre("tmpfs"));
  EXPECT_THAT(Values(run, "host", "on /mnt/child"),
              ElementsAre("nothing", "tmpfs"));
}

TEST_P(MountTest, PsListsTheInsideAfterAProcIsMounted) {
  const json run = RunJson();
  EXPECT_THAT(
      Values(run, "inside", ""),
      ElementsAre(MatchesRegex(" *PID COMMAND\n *1 mount\n *[0-9]+ ps")));
  EXPECT_THAT(Values(run, "inside", "PID in /proc"), Contains("1"));
  ExpectIsolated(run, {"on /mnt", "PID in /proc", "mount namespace"});
}

TEST_P(MountTest, ReadsProcWithoutPs) {
  const json run = RunJson([] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "inside", ""), ElementsAre("(ps is not installed)"));
  EXPECT_THAT(Values(run, "inside", "processes"), ElementsAre("1"));
}

// What systemd makes of a machine: every mount is shared.
TEST_P(MountTest, LeavesAMachineWithSharedMountsAsItIs) {
  const bool is_root = IsRoot();
  InChild([&] {
    if (!is_root) EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    MUST(mount, "none", "/", nullptr, MS_REC | MS_SHARED, nullptr);
    const std::string before = ReadFile("/proc/self/mountinfo");
    EXPECT_THAT(before, HasSubstr(" shared:"));
    const Result result =
        RunCommand({.program = program(), .as_nobody = as_nobody() && is_root});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    EXPECT_EQ(ReadFile("/proc/self/mountinfo"), before);
  });
}

TEST_P(MountTest, RunsWhereSomethingIsMountedAlready) {
  const json run = RunJson([] {
    EnterMountNamespace();
    MUST(mount, "none", "/mnt", "tmpfs", 0, nullptr);
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_EQ(run["comparison"][0]["outside_before"], "tmpfs");
  EXPECT_THAT(Values(run, "inside", "on /mnt"),
              ElementsAre("tmpfs over tmpfs"));
}

TEST_P(MountTest, SkipsTheClaimThatAMaskedProcForbids) {
  const json run = RunJson(MaskProc);
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["text"].get<std::string>(), HasSubstr("new proc"));
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("/proc is masked"));
  }
  EXPECT_EQ(skipped, 1);
}

TEST_P(MountTest, ShellListsItsOwnProcesses) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside mount] ");
  terminal.Type("echo listed $(ps -e -o comm=)\n");
  terminal.ReadTo("\nlisted ");
  EXPECT_EQ(terminal.ReadTo("\r\n"), "mount bash ps\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
