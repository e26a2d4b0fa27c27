#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/namespaces.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class CloneTest : public LessonTest {
 protected:
  CloneTest() : LessonTest("clone") {}

  // The tables in the order in which they are shown.
  enum Shown { kKinds, kControl, kEach, kAll, kSignal };

  static json Table(const json& run, Shown which) {
    return run["tables"][which];
  }

  static std::vector<std::string> Column(const json& table,
                                         std::size_t column) {
    std::vector<std::string> cells;
    for (const json& row : table["rows"]) cells.push_back(row[column]);
    return cells;
  }

  // What the only row says, without its name.
  static std::vector<std::string> Cells(const json& table) {
    EXPECT_EQ(table["rows"].size(), 1U);
    std::vector<std::string> cells = table["rows"][0];
    cells.erase(cells.begin());
    return cells;
  }

  // The texts of the claims that could not be tried.
  static std::vector<std::string> Skipped(const json& run,
                                          const std::string& cause) {
    std::vector<std::string> skipped;
    for (const json& claim : run["claims"]) {
      if (!claim["holds"].is_null()) continue;
      skipped.push_back(claim["text"]);
      EXPECT_THAT(claim["reason"].get<std::string>(), HasSubstr(cause));
    }
    return skipped;
  }
};

INSTANTIATE_TEST_SUITE_P(As, CloneTest, testing::Bool(), UserName);

// Where this process is, kind by kind.
std::vector<std::string> Links() {
  std::vector<std::string> links;
  for (const Kind& kind : Kinds()) {
    links.push_back(std::filesystem::read_symlink("/proc/self/ns/" +
                                                  std::string(kind.proc_name)));
  }
  return links;
}

TEST_P(CloneTest, BeginsWithAFlagForEveryKindOfThisKernel) {
  const json table = Table(RunJson(), kKinds);
  const std::vector<std::string> kinds = Column(table, 0);
  const std::vector<std::string> flags = Column(table, 1);
  for (const auto& link :
       std::filesystem::directory_iterator("/proc/self/ns")) {
    std::string kind = link.path().filename();
    if (kind.ends_with("_for_children")) continue;
    if (kind == "mnt") kind = "mount";
    EXPECT_THAT(kinds, Contains(kind));
  }
  EXPECT_THAT(flags, AllOf(SizeIs(8), Each(testing::StartsWith("CLONE_NEW"))));
  EXPECT_THAT(table["header"],
              ElementsAre("kind", "flag", "isolates", "since", "manual"));
}

TEST_P(CloneTest, WithoutAFlagNothingIsNew) {
  const json run = RunJson();
  EXPECT_EQ(Calls(run, "outside").front().find("clone(SIGCHLD) = "), 0U);
  EXPECT_THAT(Cells(Table(run, kControl)), AllOf(SizeIs(8), Each("-")));
}

// The test makes such children itself, and has them say where they are.
TEST_P(CloneTest, WithOneFlagIsNewWhatTheKernelMakesNew) {
  if (!IsRoot()) GTEST_SKIP() << "only root makes what this compares with";
  const json table = Table(RunJson(), kEach);
  const std::vector<std::string> home = Links();
  ASSERT_EQ(table["rows"].size(), Kinds().size());
  for (std::size_t row = 0; row < Kinds().size(); ++row) {
    const Kind& kind = Kinds()[row];
    const auto compare = [&] {
      const std::vector<std::string> there = Links();
      for (std::size_t column = 0; column < Kinds().size(); ++column) {
        EXPECT_EQ(table["rows"][row][column + 1],
                  there[column] == home[column] ? "-" : "new")
            << kind.flag_name << ", " << Kinds()[column].name;
      }
    };
    EXPECT_EQ(table["rows"][row][0], std::string(kind.flag_name));
    if (kind.flag != CLONE_NEWTIME) {
      InChild(compare, kind.flag);
    } else {
      InChild([&] {
        Check(unshare(CLONE_NEWTIME), "unshare(CLONE_NEWTIME)");
        InChild(compare);
      });
    }
  }
}

TEST_P(CloneTest, WithAllFlagsEverythingIsNew) {
  EXPECT_THAT(Cells(Table(RunJson(), kAll)), AllOf(SizeIs(8), Each("new")));
}

TEST_P(CloneTest, TimeFlagInCloneIsASignal) {
  const json run = RunJson();
  const std::string both = std::to_string(CLONE_NEWTIME | SIGCHLD);
  EXPECT_THAT(Calls(run, "outside"),
              Contains(testing::StartsWith("clone(" + both + ") = ")));
  EXPECT_THAT(Values(run, "outside", "exit signal"), ElementsAre(both));
  EXPECT_THAT(Cells(Table(run, kSignal)), AllOf(SizeIs(8), Each("-")));
  EXPECT_EQ(Found(run), "(none)");
}

TEST_P(CloneTest, StackGrowsDownFromItsTop) {
  const json run = RunJson();
  const auto address = [&run](const char* side, const char* probe) {
    const std::set<std::string> values = Values(run, side, probe);
    EXPECT_THAT(values, SizeIs(1));
    return std::stoull(*values.begin(), nullptr, 16);
  };
  const auto top = address("outside", "stack top");
  const auto caller = address("child", "caller");
  const auto callee = address("child", "callee");
  EXPECT_LT(caller, top);
  EXPECT_LT(callee, caller);
  EXPECT_LT(top - callee, 64U * 1024) << "it is not this stack";
}

TEST_P(CloneTest, RefusesTheFlagsThatTheKernelRefuses) {
  const json run = RunJson();
  const std::vector<std::string> calls = Calls(run, "outside");
  int refused = 0;
  for (const int flags : {CLONE_NEWNS | CLONE_FS, CLONE_NEWUSER | CLONE_FS,
                          CLONE_NEWIPC | CLONE_SYSVSEM}) {
    Child child([](Line&) {});
    EXPECT_EQ(clone(Child::Main, child.stack_top(), flags | SIGCHLD, &child),
              -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_THAT(
        calls, Contains("clone(" + CloneFlags(flags | SIGCHLD) + ") = EINVAL"));
    ++refused;
  }
  EXPECT_EQ(
      std::ranges::count_if(
          calls, [](const auto& call) { return call.ends_with("EINVAL"); }),
      refused);
  EXPECT_THAT(calls, Contains(testing::MatchesRegex(
                         "clone\\(CLONE_FS \\| CLONE_SYSVSEM \\| SIGCHLD\\) = "
                         "[0-9]+")));
}

TEST_P(CloneTest, CallerStaysWhereItWas) {
  const json run = RunJson();
  const std::vector<std::string> home = Links();
  ASSERT_EQ(run["comparison"].size(), home.size());
  for (std::size_t i = 0; i < home.size(); ++i) {
    const json& row = run["comparison"][i];
    EXPECT_EQ(row["probe"], std::string(Kinds()[i].name));
    // As nobody it has entered a user namespace first.
    if (!as_nobody() || row["probe"] != "user") {
      EXPECT_EQ(row["outside_before"], home[i]);
    }
    EXPECT_EQ(row["outside_after"], row["outside_before"]);
    EXPECT_EQ(row["verdict"], "isolated");
  }
}

TEST_P(CloneTest, DoesWithoutClone3AndSaysSo) {
  const json run = RunJson(ForbidClone3);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "seccomp"),
              ElementsAre("With all flags at once, it shares none.",
                          "clone3(2) takes it for a flag."));
  EXPECT_THAT(Column(Table(run, kEach), 0),
              AllOf(SizeIs(7), Not(Contains("CLONE_NEWTIME"))));
  EXPECT_THAT(Cells(Table(run, kAll)), ElementsAre("new", "new", "new", "new",
                                                   "new", "new", "new", "-"));
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody(),
                     .before = ForbidClone3});
  terminal.ReadTo("[inside clone] root@");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

// As root: an ordinary user cannot even begin.
TEST_P(CloneTest, TakesAFilterForNoAnswerOfTheKernels) {
  if (as_nobody()) return;
  const json run = RunJson(FilterAsDocker);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "seccomp"),
              AllOf(SizeIs(4), Contains(testing::StartsWith("CLONE_FS "))));
}

TEST_P(CloneTest, DoesWithoutAKindThatMayNotBeMade) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Skipped(run, "user.max_user_namespaces is 0"),
              ElementsAre("With one flag, it differs in that kind and in no "
                          "other.",
                          "With all flags at once, it shares none."));
  EXPECT_THAT(Column(Table(run, kEach), 0),
              AllOf(SizeIs(7), Not(Contains("CLONE_NEWUSER"))));
}

TEST_P(CloneTest, ShellIsRootAndSharesNoNamespace) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside clone] root@");
  const std::vector<std::string> home = Links();
  for (std::size_t i = 0; i < home.size(); ++i) {
    const std::string kind(Kinds()[i].proc_name);
    terminal.Type("echo found $(readlink /proc/self/ns/" + kind + ")\n");
    terminal.ReadTo("\nfound ");
    const std::string found = terminal.ReadTo("\r\n");
    EXPECT_THAT(found, testing::StartsWith(kind + ":["));
    EXPECT_NE(found, home[i] + "\r\n");
  }
  // Root of this user namespace, with the rights to rename this machine.
  terminal.Type("hostname inside && echo \"I am $(id -u)\"\n");
  terminal.ReadTo("\nI am 0\r\n");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
