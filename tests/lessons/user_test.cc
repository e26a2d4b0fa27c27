#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

class UserTest : public LessonTest {
 protected:
  UserTest() : LessonTest("user") {}

  // The uid and gid that the lesson has outside.
  static std::string Id() {
    if (!as_nobody()) return "1000";
    return IsRoot() ? "65534" : fmt::to_string(geteuid());
  }
};

INSTANTIATE_TEST_SUITE_P(As, UserTest, testing::Bool(), UserName);

// The reasons of the claims that were skipped.
std::vector<std::string> Skipped(const json& run) {
  std::vector<std::string> reasons;
  for (const json& claim : run["claims"]) {
    if (claim["holds"].is_null()) reasons.push_back(claim["reason"]);
  }
  return reasons;
}

TEST_P(UserTest, OutsideIsAnOrdinaryUserAndInsideIsRoot) {
  const json run = RunJson();
  EXPECT_EQ(run["privilege"], as_nobody() ? "none" : "root");
  const std::string none(16, '0');
  EXPECT_THAT(Values(run, "outside", "capabilities"), ElementsAre(none));
  EXPECT_THAT(Values(run, "inside", "capabilities"),
              ElementsAre(MatchesRegex("0+1f+")));
  EXPECT_THAT(Values(run, "inside", "after execve"), ElementsAre(none));
  EXPECT_EQ(Found(run), "65534");
  for (const std::string id : {"uid", "gid"}) {
    EXPECT_THAT(Values(run, "outside", id), ElementsAre(Id()));
    EXPECT_THAT(Values(run, "inside", id), ElementsAre("0", "65534"));
  }
  ExpectIsolated(run, {"uid", "gid", "capabilities", "user namespace"});
}

TEST_P(UserTest, MapsAreWrittenOnceAndAfterSetgroups) {
  std::vector<std::string> writes;
  for (const std::string& call : Calls(RunJson(), "inside")) {
    if (call.starts_with("write(")) writes.push_back(call.substr(9));
  }
  const std::string map = fmt::format("\"0 {} 1\", {}) = ", Id(),
                                      fmt::format("0 {} 1", Id()).size());
  const std::string size = map.substr(map.find(", ") + 2, 1);
  EXPECT_THAT(writes, ElementsAre(map + "EPERM", "\"deny\", 4) = 4", map + size,
                                  map + size, map + "EPERM"));
}

TEST_P(UserTest, ProcessAndFileBelongToTheUserOutside) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "file's uid"), ElementsAre("0"));
  EXPECT_THAT(Values(run, "outside", "file's uid"), ElementsAre(Id()));
  EXPECT_THAT(Values(run, "outside", "Uid"),
              ElementsAre(fmt::format("{0} {0} {0} {0}", Id())));
}

TEST_P(UserTest, KernelNamesParentAndOwner) {
  const json run = RunJson();
  EXPECT_EQ(Values(run, "outside", "parent"),
            Values(run, "outside", "user namespace"));
  EXPECT_THAT(Values(run, "outside", "owner's uid"), ElementsAre(Id()));
  EXPECT_EQ(Values(run, "outside", "UTS owner"),
            Values(run, "inside", "user namespace"));
}

TEST_P(UserTest, StaysRootWhereTheOuterNamespaceHasNobodyElse) {
  const json run = RunJson(EnterUserNamespaceAsRoot);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "outside", "uid"), ElementsAre("0"));
  EXPECT_THAT(Skipped(run), ElementsAre(HasSubstr("denied it before")));
}

// Covers /proc/sys/kernel as Ubuntu has it.
void RestrictUserNamespaces() {
  const std::string directory = "/proc/sys/kernel/";
  const std::string last = ReadText(directory + "cap_last_cap");
  MUST(unshare, CLONE_NEWNS);
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  MUST(mount, "tmpfs", directory.c_str(), "tmpfs", 0, nullptr);
  const auto write = [&](const std::string& name, const std::string& text) {
    WriteAll(Open(directory + name, O_WRONLY | O_CREAT, 0644).get(), text);
  };
  write("apparmor_restrict_unprivileged_userns", "1\n");
  write("overflowuid", "65534\n");
  write("cap_last_cap", last + "\n");
}

TEST_P(UserTest, RootStaysRootWhereAppArmorRestrictsOrdinaryUsers) {
  if (as_nobody()) GTEST_SKIP() << "only root may cover /proc/sys/kernel";
  const json run = RunJson(RestrictUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "outside", "uid"), ElementsAre("0"));
  EXPECT_THAT(Skipped(run), IsEmpty());
}

TEST_P(UserTest, CannotRunWhereAMapIsRefused) {
  if (as_nobody()) GTEST_SKIP() << "it takes the uid 0";
  // Root without CAP_SETFCAP may not map the uid 0. user_namespaces(7).
  const Result result =
      Run({}, [] { MUST(prctl, PR_SET_SECUREBITS, SECBIT_NOROOT); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77") << result.errors;
  EXPECT_THAT(result.errors,
              StartsWith("user: write(\"/proc/self/uid_map\"): "
                         "Operation not permitted (EPERM)\n  cause   "));
}

TEST_P(UserTest, ShellIsRootInside) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside user] root@container_001:");
  terminal.Type("echo map $(id -u) of $(cat /proc/self/uid_map)\n");
  terminal.ReadTo(fmt::format("\nmap 0 of 0 {} 1\r\n", Id()));
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
