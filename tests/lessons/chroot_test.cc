#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

class ChrootTest : public LessonTest {
 protected:
  ChrootTest() : LessonTest("chroot") {}
};

INSTANTIATE_TEST_SUITE_P(As, ChrootTest, testing::Bool(), UserName);

// The calls of `side`, all of which must have succeeded, without what they
// returned and without the number of a descriptor.
std::vector<std::string> Steps(const json& run, const std::string& side) {
  std::vector<std::string> steps;
  for (const std::string& call : Calls(run, side)) {
    EXPECT_TRUE(std::regex_search(call, std::regex(" = [0-9]+$"))) << call;
    steps.push_back(std::regex_replace(call.substr(0, call.rfind(" = ")),
                                       std::regex("^fchdir\\([0-9]+"),
                                       "fchdir(N"));
  }
  return steps;
}

const std::vector<std::string> kWayOut = {
    "open(\"/\", O_RDONLY)", "chdir(\"/usr\")", "chroot(\".\")", "fchdir(N)",
    "chdir(\"..\")",         "chroot(\".\")"};

TEST_P(ChrootTest, OutsideIsThisMachine) {
  struct stat root = {};
  ASSERT_EQ(stat("/", &root), 0);
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "root"),
              ElementsAre(fmt::format("{}:{}, inode {}", major(root.st_dev),
                                      minor(root.st_dev), root.st_ino)));
  EXPECT_THAT(Values(run, "outside", "/new_root"), ElementsAre("absent"));
  EXPECT_THAT(Values(run, "outside", "hostname"), ElementsAre(names.nodename));
  EXPECT_THAT(Values(run, "outside", "namespaces"),
              ElementsAre(fs::read_symlink("/proc/self/ns/ipc").string(),
                          fs::read_symlink("/proc/self/ns/mnt").string()));
}

TEST_P(ChrootTest, ControlHasTheRootOfItsParent) {
  const json run = RunJson();
  EXPECT_EQ(Values(run, "child", "root"), Values(run, "outside", "root"));
  EXPECT_THAT(Values(run, "child", "/new_root"), ElementsAre("absent"));
  EXPECT_THAT(
      Calls(run, "child"),
      ElementsAre("mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL) = 0",
                  "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL) = 0",
                  "chdir(\"/mnt\") = 0"));
}

TEST_P(ChrootTest, ChrootChangesTheRootAndNothingElse) {
  const json run = RunJson();
  EXPECT_NE(Values(run, "chrooted", "root"), Values(run, "child", "root"));
  EXPECT_THAT(Values(run, "chrooted", "/new_root"), ElementsAre("there"));
  for (const char* probe : {"hostname", "PID", "namespaces"}) {
    EXPECT_EQ(Values(run, "chrooted", probe), Values(run, "child", probe));
    EXPECT_FALSE(Values(run, "chrooted", probe).empty()) << probe;
  }
  EXPECT_EQ(Values(run, "chrooted", "hostname"),
            Values(run, "outside", "hostname"));
  // The PID is the one that the parent knows.
  EXPECT_THAT(Calls(run, "outside"),
              Contains("clone(CLONE_NEWNS | SIGCHLD) = " +
                       *Values(run, "chrooted", "PID").begin()));
}

TEST_P(ChrootTest, RootClimbsOutOfTheChroot) {
  const json run = RunJson();
  std::vector<std::string> steps = {"chroot(\".\")"};
  steps.insert(steps.end(), kWayOut.begin(), kWayOut.end());
  EXPECT_THAT(Steps(run, "chrooted"), ElementsAreArray(steps));
  EXPECT_EQ(Values(run, "escaped", "root"), Values(run, "outside", "root"));
  EXPECT_THAT(Values(run, "outside", "root"), ElementsAre(Found(run)));
  EXPECT_THAT(Values(run, "escaped", "/new_root"), ElementsAre("absent"));
}

TEST_P(ChrootTest, TheSameStepsLeadNowhereAfterPivotRoot) {
  const json run = RunJson();
  std::vector<std::string> steps = Steps(run, "child");
  steps.insert(steps.end(),
               {"pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)"});
  steps.insert(steps.end(), kWayOut.begin(), kWayOut.end());
  EXPECT_THAT(Steps(run, "inside"), ElementsAreArray(steps));
  EXPECT_EQ(Values(run, "inside", "root").size(), 1U)
      << "the same before and after the steps";
  EXPECT_NE(Values(run, "inside", "root"), Values(run, "outside", "root"));
  EXPECT_THAT(Values(run, "inside", "/new_root"), ElementsAre("there"));
}

TEST_P(ChrootTest, ComparisonIsIsolatedInEveryRow) {
  const json run = RunJson();
  ExpectIsolated(run, {"root", "/new_root"});
}

TEST_P(ChrootTest, MountsNothingOnAHostThatSharesItsMounts) {
  if (!IsRoot()) GTEST_SKIP() << "only root can play such a host";
  InChild(
      [&] {
        // As systemd does.
        Check(mount("none", "/", nullptr, MS_REC | MS_SHARED, nullptr),
              "mount(\"/\", MS_SHARED)");
        const std::string before = ReadFile("/proc/self/mountinfo");
        EXPECT_EQ(RunJson()["verdict"], "holds");
        EXPECT_EQ(ReadFile("/proc/self/mountinfo"), before);
      },
      CLONE_NEWNS);
}

// A chroot whose folder is no mount point, with what a program needs.
void EnterChroot() {
  EnterUserNamespaceAsRoot();
  Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  Check(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr), "mount(\"/tmp\")");
  for (const std::string folder : {"/lib", "/lib64", "/proc", "/usr"}) {
    if (!fs::exists(folder)) continue;
    fs::create_directories("/tmp/root" + folder);
    Check(mount(folder.c_str(), ("/tmp/root" + folder).c_str(), nullptr,
                MS_BIND | MS_REC, nullptr),
          "mount(\"{}\", MS_BIND)", folder);
  }
  Check(chroot("/tmp/root"), "chroot(\"/tmp/root\")");
  Check(chdir("/"), "chdir(\"/\")");
}

TEST_P(ChrootTest, SaysThatItCannotRunInAChroot) {
  const json run = RunJson(EnterChroot, 77);
  ASSERT_EQ(run["verdict"], "cannot run");
  EXPECT_THAT(run["cause"].get<std::string>(), HasSubstr("chroot"));
}

TEST_P(ChrootTest, ShellIsInTheNewRootAndCannotHarmTheOld) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  utsname names = {};
  uname(&names);
  terminal.ReadTo(fmt::format("[inside chroot] root@{}:/# ", names.nodename));
  terminal.Type("echo in $(echo /*)\n");
  terminal.ReadTo("\nin /bin /dev /etc ");
  terminal.ReadTo(" /new_root /proc /sbin /usr\r\n");
  // Asked and not tried: a lesson that is broken must not harm it either.
  terminal.Type(
      "echo may write $(for f in / /*; do test -w $f && echo $f; done)\n");
  terminal.ReadTo("\nmay write\r\n");
  terminal.Type("ls /nothing 2>/dev/null || echo said nothing\n");
  terminal.ReadTo("\nsaid nothing\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
