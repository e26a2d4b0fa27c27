#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/sabotage.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

class ChrootTest : public LessonTest {
 protected:
  ChrootTest() : LessonTest("chroot") {}
};

INSTANTIATE_TEST_SUITE_P(As, ChrootTest, testing::Bool(), UserName);

// A chroot whose directory is no mount point, with what a program needs.
void EnterChroot() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MUST(mount, "tmpfs", "/tmp", "tmpfs", 0, nullptr);
  for (const std::string directory : {"/lib", "/lib64", "/proc", "/usr"}) {
    if (!fs::exists(directory)) continue;
    fs::create_directories("/tmp/root" + directory);
    MUST(mount, directory.c_str(), ("/tmp/root" + directory).c_str(), nullptr,
         MS_BIND | MS_REC, nullptr);
  }
  MUST(chroot, "/tmp/root");
  MUST(chdir, "/");
}

TEST_P(ChrootTest, RootClimbsOutOfTheChrootAndNotAfterPivotRoot) {
  const json run = RunJson();
  std::vector<std::string> roots;
  for (const json& entry : run["evidence"]) {
    if (entry["process"] == "inside" && entry["probe"] == "root directory") {
      roots.push_back(entry["value"]);
    }
  }
  EXPECT_THAT(roots, ElementsAre("the machine's", "the jail", "the machine's",
                                 "the jail", "the jail"));
  EXPECT_EQ(Found(run), "the machine's");
  const std::vector<std::string> calls = Calls(run, "inside");
  const auto pivot = std::ranges::find(calls, "pivot_root(\".\", \".\") = 0");
  ASSERT_NE(pivot, calls.end());
  EXPECT_THAT(
      std::vector<std::string>(pivot + 1, calls.end()),
      ElementsAre("umount2(\".\", MNT_DETACH) = 0",
                  MatchesRegex("open\\(\"/\", .*"), "chdir(\"/usr\") = 0",
                  "chroot(\".\") = 0", MatchesRegex("fchdir\\(.*"),
                  "chdir(\"..\") = 0", "chroot(\".\") = 0"));
  ExpectIsolated(run, {"root directory", "names in /"});
}

TEST_P(ChrootTest, ChangesNoHostnameAndNoNamespace) {
  const json run = RunJson();
  for (const char* probe : {"hostname", "IPC namespace"}) {
    EXPECT_THAT(Values(run, "inside", probe), SizeIs(1)) << probe;
    EXPECT_EQ(Values(run, "inside", probe), Values(run, "outside", probe));
  }
}

TEST_P(ChrootTest, GoesOnOnlyInAJailThatCannotBeWrittenTo) {
  if (as_nobody()) GTEST_SKIP() << "lies are told as root";
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  const LieResult result =
      RunWithLie({.program = program()}, {.call = "mount_setattr"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.errors, HasSubstr("can be written to"));
  EXPECT_THAT(result.output, Not(HasSubstr("chroot(\".\")")));
}

TEST_P(ChrootTest, SaysThatItCannotRunInAChroot) {
  const json run = RunJson(EnterChroot, 77);
  ASSERT_EQ(run["verdict"], "cannot run");
  EXPECT_THAT(run["cause"].get<std::string>(), HasSubstr("chroot"));
}

TEST_P(ChrootTest, ShellIsInTheJailAndCannotHarmTheMachine) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  utsname names = {};
  uname(&names);
  terminal.ReadTo(fmt::format("[inside chroot] root@{}:/# ", names.nodename));
  terminal.Type("echo in $(echo /*)\n");
  terminal.ReadTo("\nin /bin /dev /etc /jail ");
  // Asked and not tried: a lesson that is broken must not harm it either.
  terminal.Type(
      "echo may write $(for f in / /*; do test -w $f && echo $f; done)\n");
  terminal.ReadTo("\nmay write\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
