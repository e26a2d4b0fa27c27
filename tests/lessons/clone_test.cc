#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class CloneTest : public LessonTest {
 protected:
  CloneTest() : LessonTest("clone") {}
};

INSTANTIATE_TEST_SUITE_P(As, CloneTest, testing::Bool(), UserName);

// What this probe gave, in the order in which it was asked.
std::vector<std::string> Seen(const json& run, const std::string& probe) {
  std::vector<std::string> values;
  for (const json& entry : run["evidence"]) {
    if (entry["probe"] == probe) values.push_back(entry["value"]);
  }
  return values;
}

// How the claims begin that could not be tried, all for this cause.
std::vector<std::string> Skipped(const json& run, const std::string& cause) {
  std::vector<std::string> skipped;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    skipped.push_back(claim["text"].get<std::string>().substr(0, 8));
    EXPECT_THAT(claim["reason"].get<std::string>(), HasSubstr(cause));
  }
  return skipped;
}

TEST_P(CloneTest, ListsAFlagForEveryKind) {
  const json table = RunJson()["tables"][0];
  ASSERT_THAT(table["rows"], SizeIs(Kinds().size()));
  for (std::size_t i = 0; i < Kinds().size(); ++i) {
    EXPECT_EQ(table["rows"][i][0], std::string(Kinds()[i].name));
    EXPECT_EQ(table["rows"][i][1], std::string(Kinds()[i].flag_name));
  }
}

TEST_P(CloneTest, ChildrenDifferInWhatTheirFlagsSay) {
  const json run = RunJson();
  EXPECT_THAT(Seen(run, "differs in"),
              ElementsAre("(none)", "(none)", KindNames(AllFlags())));
  EXPECT_EQ(Found(run), "uts");
  const auto home = NamespacesOf(getpid());
  for (const json& row : run["tables"][1]["rows"]) {
    const auto& kind = *std::ranges::find(Kinds(), row[0].get<std::string>(),
                                          &Kind::flag_name);
    // As the test finds it, where it may make such a child.
    int differs = kind.flag;
    if (IsRoot()) {
      const Process child = Process::Quiet().Clone("child", kind.flag);
      differs = Difference(home, NamespacesOf(child.pid()));
    }
    for (std::size_t i = 0; i < Kinds().size(); ++i) {
      EXPECT_EQ(row[i + 1], (differs & Kinds()[i].flag) != 0 ? "new" : "-");
    }
  }
  EXPECT_THAT(run["tables"][1]["rows"], SizeIs(Kinds().size()));
  for (const json& row : run["comparison"]) {
    EXPECT_EQ(row["verdict"], "private") << row;
  }
}

TEST_P(CloneTest, StackGrowsDownFromItsTop) {
  const json run = RunJson();
  const int used = std::stoi(Seen(run, "stack").at(0));
  EXPECT_GT(used, 64) << "more than what clone(3) itself puts there";
  EXPECT_LT(used, 16 * 1024) << "the lower half is not used";
}

TEST_P(CloneTest, TimeFlagInCloneIsASignal) {
  EXPECT_THAT(Calls(RunJson(), "outside"),
              Contains(testing::MatchesRegex("waitpid\\([0-9]+, NULL, 0\\) = "
                                             "ECHILD")));
}

TEST_P(CloneTest, RefusesTheFlagsThatTheKernelRefuses) {
  const std::vector<std::string> calls = Calls(RunJson(), "outside");
  for (const int flags : {CLONE_NEWNS | CLONE_FS, CLONE_NEWUSER | CLONE_FS}) {
    EXPECT_EQ(
        syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr),
        -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(calls,
                Contains(fmt::format("clone(Child, top, {}, NULL) = EINVAL",
                                     CloneFlags(flags | SIGCHLD))));
  }
}

TEST_P(CloneTest, DoesWithoutClone3AndSaysSo) {
  const json run = RunJson(ForbidClone3);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "seccomp"), ElementsAre("With one", "With all"));
  EXPECT_EQ(Seen(run, "differs in").back(),
            KindNames(AllFlags() & ~CLONE_NEWTIME));
}

// As root: an ordinary user cannot even begin.
TEST_P(CloneTest, TakesAFilterForNoAnswerOfTheKernels) {
  if (as_nobody()) GTEST_SKIP() << "a user namespace is refused, too";
  const json run = RunJson(FilterAsDocker);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "seccomp"),
              ElementsAre("With one", "With all", "CLONE_FS"));
  EXPECT_EQ(Found(run), "not allowed");
}

TEST_P(CloneTest, DoesWithoutAKindThatMayNotBeMade) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "user.max_user_namespaces is 0"),
              ElementsAre("With one", "With all"));
}

TEST_P(CloneTest, ShellIsRootAndSharesNoNamespace) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside clone] root@");
  for (const Kind& kind : Kinds()) {
    const std::string link = fmt::format("/proc/self/ns/{}", kind.proc_name);
    terminal.Type("echo found $(readlink " + link + ")\n");
    terminal.ReadTo("\nfound ");
    const std::string found = terminal.ReadTo("\r\n");
    EXPECT_THAT(found, StartsWith(fmt::format("{}:[", kind.proc_name)));
    EXPECT_NE(found, ReadLink(link) + "\r\n");
  }
  // Root of this user namespace, with the rights to rename this machine.
  terminal.Type("hostname inside && echo \"I am $(id -u)\"\n");
  terminal.ReadTo("\nI am 0\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
