#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

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

TEST_P(ChrootTest, RootClimbsOutOfTheChroot) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "child", "root directory"),
              ElementsAre("the jail", "the machine's"));
  EXPECT_EQ(Found(run), "the machine's");
  for (const char* probe : {"hostname", "PID", "IPC namespace"}) {
    EXPECT_EQ(Values(run, "child", probe).size(), 1U) << probe;
  }
}

TEST_P(ChrootTest, TheSameCallsLeadNowhereAfterPivotRoot) {
  const json run = RunJson();
  EXPECT_THAT(
      Calls(run, "inside"),
      ElementsAre(HasSubstr("MS_PRIVATE"), HasSubstr("tmpfs"),
                  "chdir(\"/mnt\") = 0", "pivot_root(\".\", \".\") = 0",
                  "umount2(\".\", MNT_DETACH) = 0",
                  MatchesRegex("open\\(\"/\", .*"), "chdir(\"/usr\") = 0",
                  "chroot(\".\") = 0", MatchesRegex("fchdir\\(.*"),
                  "chdir(\"..\") = 0", "chroot(\".\") = 0"));
  EXPECT_THAT(Values(run, "inside", "root directory"), ElementsAre("the jail"));
  ExpectIsolated(run, {"root directory", "names in /"});
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
