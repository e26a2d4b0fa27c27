#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::MatchesRegex;

// A cgroup that is delegated to nobody, and the process that runs `body` in it.
void InDelegatedCgroup(const CgroupPlace& place,
                       const std::function<void()>& body) {
  // Below the delegated one: in version 2 a process may not stand in the way.
  const Cgroup cgroup(place, {"a", "a/b"});
  const auto write_to = [&](const char* file, const char* text) {
    WriteAll(Open(cgroup.path() + "/" + file, O_WRONLY).get(), text);
  };
  if (place.controllers.empty()) {
    write_to("cgroup.subtree_control", "+pids");
    write_to("a/cgroup.subtree_control", "+pids");
  }
  for (const char* file : {"a", "a/cgroup.procs", "a/b", "a/b/cgroup.procs"}) {
    MUST(chown, (cgroup.path() + "/" + file).c_str(), 65534, 65534);
  }
  InChild([&] {
    write_to("a/b/cgroup.procs", "0");
    body();
  });
}

class CgroupLessonTest : public LessonTest {
 protected:
  CgroupLessonTest() : LessonTest("cgroup") {}

  // Runs `body` where the lesson may make cgroups.
  static void WithCgroups(const std::function<void()>& body) {
    const std::optional<CgroupPlace> place = FindCgroupPlace("pids");
    if (!place || access(place->directory.c_str(), W_OK) != 0) {
      GTEST_SKIP() << "no cgroup may be made here";
    }
    if (as_nobody() && IsRoot()) {
      InDelegatedCgroup(*place, body);
    } else {
      body();
    }
  }

  // Runs `body` where the lesson may make none.
  static void WithoutCgroups(const std::function<void()>& body) {
    if (!as_nobody() || !IsRoot()) {
      GTEST_SKIP() << "only root can play somebody who may make no cgroup";
    }
    body();
  }
};

INSTANTIATE_TEST_SUITE_P(As, CgroupLessonTest, testing::Bool(), UserName);

TEST_P(CgroupLessonTest, ShowsPathsAndALimitWhereItMayMakeCgroups) {
  WithCgroups([&] {
    const json run = RunJson();
    for (const json& claim : run["claims"]) {
      EXPECT_EQ(claim["holds"], true) << claim;
    }
    EXPECT_EQ(Found(run), "/");
    ExpectIsolated(run, {"path of upper", "path of inside", "cgroup ns"});
    EXPECT_THAT(Values(run, "outside", "path of inside"), ElementsAre("…/a/b"));
    EXPECT_THAT(Values(run, "outside", "cgroup ns"),
                ElementsAre(ReadLink("/proc/self/ns/cgroup")));
    EXPECT_THAT(Calls(run, "inside"),
                IsSupersetOf({MatchesRegex("fork\\(\\) = EAGAIN"),
                              MatchesRegex("fork\\(\\) = [0-9]+")}));
  });
}

TEST_P(CgroupLessonTest, SkipsWhatNeedsACgroupWhereItMayMakeNone) {
  WithoutCgroups([&] {
    const json run = RunJson();
    EXPECT_EQ(run["verdict"], "holds");
    EXPECT_EQ(Found(run), "/");
    int skipped = 0;
    for (const json& claim : run["claims"]) {
      if (!claim["holds"].is_null()) continue;
      ++skipped;
      EXPECT_THAT(claim["reason"].get<std::string>(),
                  AnyOf(HasSubstr("delegated"), HasSubstr("in the root"),
                        HasSubstr("No cgroup")));
    }
    EXPECT_GE(skipped, 2);
  });
}

TEST_P(CgroupLessonTest, ShellLeavesNoCgroup) {
  WithCgroups([&] {
    Terminal terminal({.program = program(),
                       .arguments = {"--shell"},
                       .as_nobody = as_nobody()});
    terminal.ReadTo("[inside cgroup] ");
    terminal.Type("exit\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
    EXPECT_THAT(Survivors(), IsEmpty());
  });
}

}  // namespace
}  // namespace steps
