#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
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
using testing::UnorderedElementsAre;

class MountTest : public LessonTest {
 protected:
  MountTest() : LessonTest("mount") {}
};

INSTANTIATE_TEST_SUITE_P(As, MountTest, testing::Bool(), UserName);

// The one answer of `side` to `probe`.
std::string Value(const json& run, const std::string& side,
                  const std::string& probe) {
  const std::set<std::string> values = Values(run, side, probe);
  EXPECT_EQ(values.size(), 1U) << side << ": " << probe;
  return values.empty() ? "" : *values.begin();
}

// Who of `sides` has the file system that `maker` has mounted on /mnt/MAKER.
std::set<std::string> WhoHas(const json& run, const std::string& maker,
                             const std::vector<std::string>& sides) {
  const std::string point = "/mnt/" + maker;
  std::set<std::string> found;
  for (const std::string& side : sides) {
    // Of those that it mounted there one after the other.
    for (const std::string& value : Values(run, side, point)) {
      if (Values(run, maker, point).contains(value)) found.insert(side);
    }
  }
  return found;
}

void SetPropagation(unsigned long type) {
  Check(mount("none", "/", nullptr, MS_REC | type, nullptr), "mount({})",
        MountFlags(MS_REC | type));
}

void EnterMountNamespace() {
  Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  SetPropagation(MS_PRIVATE);
}

void MountTmpfs(const std::string& point) {
  Check(mount("none", point.c_str(), "tmpfs", 0, nullptr), "mount(\"{}\")",
        point);
}

// As container engines do: the mount is locked for who is further inside.
void MaskProc() {
  EnterUserNamespaceAsRoot();
  EnterMountNamespace();
  MountTmpfs("/proc/tty");
  EnterUserNamespaceAsRoot();
}

TEST_P(MountTest, OutsideIsThisMachine) {
  struct stat status = {};
  Check(stat("/proc", &status), "stat(\"/proc\")");
  const json run = RunJson();
  EXPECT_EQ(
      Value(run, "outside", "/proc"),
      fmt::format("{}:{} proc", major(status.st_dev), minor(status.st_dev)));
  EXPECT_EQ(Value(run, "outside", "/mnt"), FromMount("/mnt").value);
  EXPECT_EQ(Value(run, "outside", "namespace"),
            std::filesystem::read_symlink("/proc/self/ns/mnt").string());
}

TEST_P(MountTest, ControlMountsForItsParent) {
  const json run = RunJson();
  EXPECT_THAT(Calls(run, "outer"),
              Contains(MatchesRegex("clone\\(SIGCHLD\\).*")));
  EXPECT_THAT(
      Calls(run, "child"),
      ElementsAre("mount(\"tmpfs\", \"/mnt/child\", \"tmpfs\", 0, NULL) = 0"));
  EXPECT_THAT(WhoHas(run, "child", {"child", "outer"}),
              ElementsAre("child", "outer"));
}

TEST_P(MountTest, SharedMountPassesBothWays) {
  const json run = RunJson();
  EXPECT_THAT(WhoHas(run, "shared", {"shared", "outer"}),
              ElementsAre("outer", "shared"));
  EXPECT_THAT(WhoHas(run, "outer", {"shared"}), ElementsAre("shared"));
  EXPECT_THAT(Value(run, "shared", "/mnt"), MatchesRegex("shared:[0-9]+"));
  EXPECT_EQ(Value(run, "shared", "/mnt"), Value(run, "child", "/mnt"));
}

TEST_P(MountTest, PrivateMountPassesNeitherWay) {
  const json run = RunJson();
  EXPECT_THAT(WhoHas(run, "private", {"private", "outer"}),
              ElementsAre("private"));
  EXPECT_THAT(WhoHas(run, "outer", {"private"}), IsEmpty());
  EXPECT_EQ(Value(run, "private", "/mnt"), "no tag");
  EXPECT_EQ(Found(run), "no mount");
}

TEST_P(MountTest, SlaveReceivesOnly) {
  const json run = RunJson();
  EXPECT_THAT(WhoHas(run, "slave", {"slave", "outer"}), ElementsAre("slave"));
  EXPECT_THAT(WhoHas(run, "outer", {"slave"}), ElementsAre("slave"));
  const std::string peers =
      Value(run, "shared", "/mnt").substr(sizeof "shared");
  EXPECT_EQ(Value(run, "slave", "/mnt"), "master:" + peers);
}

TEST_P(MountTest, InsideHasATmpfsAndAProcOfItsOwn) {
  const json run = RunJson();
  EXPECT_THAT(Value(run, "inside", "/mnt"), MatchesRegex("0:[0-9]+ tmpfs"));
  EXPECT_THAT(Value(run, "inside", "/proc"), MatchesRegex("0:[0-9]+ proc"));
  ExpectIsolated(run, {"/mnt", "/proc", "namespace"});
}

TEST_P(MountTest, PsListsTheInsideAfterAProcIsMounted) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "processes"),
              testing::Each(MatchesRegex("[0-9]+ in all")));
  EXPECT_THAT(Values(run, "inside", "processes"),
              UnorderedElementsAre(MatchesRegex("[0-9]+ in all"),
                                   MatchesRegex(" *PID COMMAND\n"
                                                " *1 mount\n *[0-9]+ ps")));
  std::string pid;
  for (const json& call : run["calls"]) {
    if (call["call"] == "clone(CLONE_NEWNS | CLONE_NEWPID | SIGCHLD)") {
      pid = call["result"].dump();
    }
  }
  EXPECT_THAT(Values(run, "inside", "own PID"), UnorderedElementsAre("1", pid));
}

TEST_P(MountTest, ListsWhatProcHasWithoutPs) {
  const json run = RunJson([] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "inside", "processes"), Contains("1 in all"));
}

// What systemd makes of a machine: every mount is shared.
TEST_P(MountTest, LeavesAMachineWithSharedMountsAsItIs) {
  InChild([this] {
    const bool is_root = IsRoot();
    if (!is_root) EnterUserNamespaceAsRoot();
    EnterMountNamespace();
    SetPropagation(MS_SHARED);
    const std::string before = ReadFile("/proc/self/mountinfo");
    EXPECT_THAT(before, HasSubstr(" shared:"));
    const Result result =
        RunCommand({.program = program(), .as_nobody = as_nobody() && is_root});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    EXPECT_EQ(ReadFile("/proc/self/mountinfo"), before);
  });
}

// As in a container: ps(1) gives up where /proc has no folder of its PID.
TEST_P(MountTest, RunsWhereThereAreFewProcesses) {
  const bool is_root = IsRoot();
  const Ids ids = Ids::OfCaller();
  InChild(
      [&] {
        if (!is_root) MapToRoot(ids);
        SetPropagation(MS_PRIVATE);
        Check(mount("proc", "/proc", "proc", 0, nullptr), "mount(\"/proc\")");
        InChild([] {});  // That was PID 2.
        const Result result = RunCommand(
            {.program = program(), .as_nobody = as_nobody() && is_root});
        EXPECT_EQ(DescribeStatus(result.status), "exit status 0")
            << result.errors;
      },
      (is_root ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | CLONE_NEWPID);
}

TEST_P(MountTest, RunsWhereSomethingIsMountedAlready) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    EnterMountNamespace();
    MountTmpfs("/mnt");
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Value(run, "outside", "/mnt"), MatchesRegex("0:[0-9]+ tmpfs"));
  EXPECT_NE(Value(run, "outside", "/mnt"), Value(run, "inside", "/mnt"));
}

TEST_P(MountTest, SkipsTheClaimThatAMaskedProcForbids) {
  const json run = RunJson(MaskProc);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(
      Calls(run, "inside"),
      Contains("mount(\"proc\", \"/proc\", \"proc\", 0, NULL) = EPERM"));
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["text"].get<std::string>(), HasSubstr("proc of its own"));
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("/proc is masked"));
  }
  EXPECT_EQ(skipped, 1);
  EXPECT_THAT(Run({}, MaskProc).output,
              HasSubstr("7 of 7 claims hold, 1 skipped.\n"));
}

TEST_P(MountTest, ShellListsItsOwnProcessesAndHasItsOrphansReaped) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside mount] ");
  terminal.Type("echo listed $(ps -e -o comm=)\n");
  terminal.ReadTo("\nlisted ");
  EXPECT_EQ(terminal.ReadTo("\r\n"), "mount bash ps\r\n");
  // Where PID 1 does not reap, /proc keeps its folder.
  terminal.Type("orphan=$(sleep 0.01 >/dev/null & echo $!)\n");
  terminal.Type(
      "until grep -qs Z /proc/$orphan/stat || ! [ -e /proc/$orphan ]\n"
      "do :; done; ls -d /proc/$orphan || echo reaped\n");
  terminal.ReadTo("\nreaped");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_P(MountTest, ShellHasJobControl) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside mount] ");
  terminal.Type("sh -c 'echo begun; read word; echo read $word'\n");
  terminal.ReadTo("\nbegun");
  terminal.Type("\x1a");
  terminal.ReadTo("Stopped");
  // A job that may read from the terminal is in the foreground.
  terminal.Type("fg\n");
  terminal.ReadTo("\nsh -c");
  terminal.Type("line\n");
  terminal.ReadTo("\nread line");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
