#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
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

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Pair;
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

// No capability.
constexpr const char* kNone = "0000000000000000";

// The claims that were skipped, and why.
std::set<std::pair<std::string, std::string>> Skipped(const json& run) {
  std::set<std::pair<std::string, std::string>> skipped;
  for (const json& claim : run["claims"]) {
    if (claim["holds"].is_null()) {
      skipped.emplace(claim["text"], claim["reason"]);
    }
  }
  return skipped;
}

TEST_P(UserTest, OutsideIsAnOrdinaryUser) {
  const json run = RunJson();
  if (as_nobody()) {
    EXPECT_EQ(run["privilege"], "none");
  } else {
    EXPECT_EQ(run["privilege"], "root");
    const auto calls = Calls(run, "outside");
    ASSERT_GE(calls.size(), 3U);
    EXPECT_EQ(calls[0], "setresgid(1000, 1000, 1000) = 0");
    EXPECT_EQ(calls[1], "setgroups(0, NULL) = 0");
    EXPECT_EQ(calls[2], "setresuid(1000, 1000, 1000) = 0");
  }
  EXPECT_THAT(Values(run, "outside", "uid"), ElementsAre(Id()));
  EXPECT_THAT(Values(run, "outside", "gid"), ElementsAre(Id()));
  EXPECT_THAT(Values(run, "outside", "CapEff"), ElementsAre(kNone));
  EXPECT_THAT(
      Values(run, "outside", "namespace"),
      ElementsAre(
          std::filesystem::read_symlink("/proc/self/ns/user").string()));
}

TEST_P(UserTest, ControlMayNotWriteItsUidMap) {
  const json run = RunJson();
  EXPECT_THAT(
      Calls(run, "child"),
      ElementsAre(StartsWith("open(\"/proc/self/uid_map\", O_WRONLY) = "),
                  MatchesRegex(fmt::format(
                      "write\\([0-9]+, \"0 {} 1\", [0-9]\\) = EPERM", Id()))));
  EXPECT_THAT(Values(run, "child", "uid"), ElementsAre(Id()));
  EXPECT_THAT(Values(run, "child", "CapEff"), ElementsAre(kNone));
  EXPECT_EQ(Values(run, "child", "namespace"),
            Values(run, "outside", "namespace"));
}

TEST_P(UserTest, InsideIsTheOverflowUidAndThenRoot) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "uid"), ElementsAre("0", "65534"));
  EXPECT_THAT(Values(run, "inside", "gid"), ElementsAre("0", "65534"));
  EXPECT_NE(Values(run, "inside", "namespace"),
            Values(run, "outside", "namespace"));
}

TEST_P(UserTest, InsideHasAllCapabilitiesAllAlong) {
  const json run = RunJson();
  int all = -1;
  while (prctl(PR_CAPBSET_READ, all + 1) >= 0) ++all;
  EXPECT_THAT(Values(run, "inside", "CapEff"),
              ElementsAre(fmt::format("{:016x}", (2ULL << all) - 1)));
}

TEST_P(UserTest, MapsAreWrittenOnceAndAfterSetgroups) {
  const json run = RunJson();
  std::vector<std::string> calls = Calls(run, "inside");
  ASSERT_GE(calls.size(), 10U);
  calls.resize(10);
  const auto opens = [](const std::string& name) {
    return StartsWith(
        fmt::format("open(\"/proc/self/{}\", O_WRONLY) = ", name));
  };
  const auto writes = [](const std::string& text, const std::string& result) {
    return MatchesRegex(fmt::format("write\\([0-9]+, \"{}\", {}\\) = {}", text,
                                    text.size(), result));
  };
  const std::string map = fmt::format("0 {} 1", Id());
  const std::string size = fmt::to_string(map.size());
  EXPECT_THAT(calls, ElementsAre(opens("gid_map"), writes(map, "EPERM"),
                                 opens("setgroups"), writes("deny", "4"),
                                 opens("gid_map"), writes(map, size),
                                 opens("uid_map"), writes(map, size),
                                 opens("uid_map"), writes(map, "EPERM")));
}

TEST_P(UserTest, FileBelongsToTheUserOutside) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "file's uid"), ElementsAre("0"));
  EXPECT_THAT(Values(run, "inside", "Uid"), ElementsAre("0 0 0 0"));
  EXPECT_THAT(Values(run, "outside", "file's uid"), ElementsAre(Id()));
  EXPECT_EQ(Found(run), Id());
  EXPECT_THAT(Values(run, "outside", "Uid"),
              ElementsAre(fmt::format("{0} {0} {0} {0}", Id())));
  // Both sides ask the same process for the same file.
  std::map<std::string, std::set<std::string>> sources;
  for (const json& entry : run["evidence"]) {
    sources[entry["probe"]].insert(entry["source"]);
  }
  EXPECT_EQ(sources["file's uid"], Values(run, "inside", "file"));
  EXPECT_EQ(sources["Uid"].size(), 1U);
}

TEST_P(UserTest, RootInsideIsRefusedTheHostsNameAndNotItsOwn) {
  const json run = RunJson();
  utsname names = {};
  uname(&names);
  std::vector<std::string> calls = Calls(run, "inside");
  ASSERT_GE(calls.size(), 3U);
  calls.erase(calls.begin(), calls.end() - 3);
  EXPECT_THAT(calls,
              ElementsAre(fmt::format("sethostname(\"{}\", {}) = EPERM",
                                      names.nodename, strlen(names.nodename)),
                          "unshare(CLONE_NEWUTS) = 0",
                          "sethostname(\"container_001\", 13) = 0"));
}

TEST_P(UserTest, KernelNamesParentAndOwner) {
  const json run = RunJson();
  EXPECT_EQ(Values(run, "outside", "parent"),
            Values(run, "outside", "namespace"));
  EXPECT_THAT(Values(run, "outside", "owner's uid"), ElementsAre(Id()));
  EXPECT_EQ(Values(run, "outside", "UTS owner"),
            Values(run, "inside", "namespace"));
}

TEST_P(UserTest, ComparisonIsIsolatedInEveryRow) {
  ExpectIsolated(RunJson(), {"uid", "gid", "CapEff", "namespace"});
}

TEST_P(UserTest, StaysRootWhereTheOuterNamespaceHasNobodyElse) {
  const json run = RunJson(EnterUserNamespaceAsRoot);
  EXPECT_EQ(run["privilege"], "root");
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "outside", "uid"), ElementsAre("0"));
  // Nor can it try what the outer namespace has done for it.
  EXPECT_THAT(Skipped(run),
              ElementsAre(Pair(HasSubstr("until setgroups is denied"),
                               HasSubstr("denied further out"))));
}

// Covers /proc/sys/kernel as Ubuntu has it.
void RestrictUserNamespaces() {
  const std::string folder = "/proc/sys/kernel/";
  Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount()");
  Check(mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr), "mount()");
  const auto write = [&](const std::string& name, const std::string& text) {
    WriteAll(Open(folder + name, O_WRONLY | O_CREAT, 0644).get(), text);
  };
  write("apparmor_restrict_unprivileged_userns", "1\n");
  write("overflowuid", "65534\n");
  for (int last = 0;; ++last) {
    if (prctl(PR_CAPBSET_READ, last + 1) >= 0) continue;
    write("cap_last_cap", fmt::format("{}\n", last));
    break;
  }
}

TEST_P(UserTest, RootStaysRootWhereAppArmorRestrictsOrdinaryUsers) {
  if (as_nobody()) GTEST_SKIP() << "only root may cover /proc/sys/kernel";
  const json run = RunJson(RestrictUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "outside", "uid"), ElementsAre("0"));
  EXPECT_THAT(Values(run, "inside", "uid"), ElementsAre("0", "65534"));
  EXPECT_THAT(Skipped(run), IsEmpty());
}

TEST_P(UserTest, CannotRunWhereAMapIsRefused) {
  if (as_nobody()) GTEST_SKIP() << "it takes the uid 0";
  // Whoever lacks CAP_SETFCAP may not map the uid 0. user_namespaces(7).
  const Result result = Run({}, [] {
    Check(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), "prctl(SECBIT_NOROOT)");
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77") << result.errors;
  EXPECT_THAT(result.errors,
              StartsWith("user: write(\"/proc/self/uid_map\", \"0 0 1\"): "
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
