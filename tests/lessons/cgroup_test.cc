#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
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
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

// A cgroup that is delegated to nobody, and the process that runs `body` in it.
void InDelegatedCgroup(const CgroupPlace& place,
                       const std::function<void()>& body) {
  // Below the delegated one: in version 2 a process may not stand in the way.
  const Cgroup cgroup(place, {"a", "a/b"});
  const auto write_to = [&](const char* file, const char* text) {
    WriteAll(
        Descriptor(openat(cgroup.folder(), file, O_WRONLY | O_CLOEXEC)).get(),
        text);
  };
  if (place.controllers.empty()) {
    write_to("cgroup.subtree_control", "+pids");
    write_to("a/cgroup.subtree_control", "+pids");
  }
  for (const char* file : {"a", "a/cgroup.procs", "a/b", "a/b/cgroup.procs"}) {
    Check(fchownat(cgroup.folder(), file, 65534, 65534, 0), "fchownat(\"{}\")",
          file);
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
    if (!place || access(place->folder.c_str(), W_OK) != 0) {
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

// The one value that `side` gives to `probe`.
std::string Value(const json& run, const std::string& side,
                  const std::string& probe) {
  const auto values = Values(run, side, probe);
  EXPECT_EQ(values.size(), 1U) << side << " " << probe;
  return values.empty() ? "" : *values.begin();
}

TEST_P(CgroupLessonTest, ProvesEveryClaimWhereItMayMakeCgroups) {
  WithCgroups([&] {
    const json run = RunJson();
    EXPECT_EQ(run["claims"].size(), 6U);
    for (const json& claim : run["claims"]) {
      EXPECT_EQ(claim["holds"], true) << claim;
    }
  });
}

TEST_P(CgroupLessonTest, MovesTwoProcessesIntoCgroupsOfItsOwn) {
  WithCgroups([&] {
    const json run = RunJson();
    EXPECT_THAT(Value(run, "outside", "upper"),
                MatchesRegex("(…)?/steps-[0-9]+"));
    EXPECT_EQ(Value(run, "outside", "lower"),
              Value(run, "outside", "upper") + "/a/b");
    EXPECT_THAT(Calls(run, "upper"),
                ElementsAre(MatchesRegex("openat\\([0-9]+, \"cgroup.procs\", "
                                         "O_WRONLY\\) = [0-9]+"),
                            MatchesRegex("write\\([0-9]+, \"0\", 1\\) = 1")));
    EXPECT_THAT(
        Calls(run, "child"),
        ElementsAre(MatchesRegex("openat\\([0-9]+, \"a/b/cgroup.procs\", "
                                 "O_WRONLY\\) = [0-9]+"),
                    MatchesRegex("write\\([0-9]+, \"0\", 1\\) = 1")));
  });
}

TEST_P(CgroupLessonTest, ControlReadsWhatItsParentReads) {
  const json run = RunJson();
  for (const char* probe : {"upper", "lower", "ns"}) {
    EXPECT_EQ(Value(run, "child", probe), Value(run, "outside", probe));
  }
  EXPECT_EQ(Value(run, "outside", "ns"),
            fs::read_symlink("/proc/self/ns/cgroup").string());
}

TEST_P(CgroupLessonTest, InsideItsCgroupIsTheRoot) {
  WithCgroups([&] {
    const json run = RunJson();
    EXPECT_EQ(Calls(run, "inside").at(0), "unshare(CLONE_NEWCGROUP) = 0");
    EXPECT_EQ(Value(run, "inside", "lower"), "/");
    EXPECT_EQ(Value(run, "inside", "upper"), "/../..");
    EXPECT_NE(Value(run, "inside", "ns"), Value(run, "child", "ns"));
    ExpectIsolated(run, {"upper", "lower", "ns"});
  });
}

TEST_P(CgroupLessonTest, LimitHoldsInsideUntilItIsRaised) {
  WithCgroups([&] {
    const json run = RunJson();
    const std::vector<std::string> inside = Calls(run, "inside");
    ASSERT_EQ(inside.size(), 3U);
    EXPECT_EQ(inside[1], "clone(SIGCHLD) = EAGAIN");
    EXPECT_THAT(inside[2], MatchesRegex("clone\\(SIGCHLD\\) = [0-9]+"));
    std::vector<std::string> limits = Calls(run, "outside");
    std::erase_if(limits, [](const std::string& call) {
      return !call.starts_with("write(");
    });
    EXPECT_THAT(limits,
                ElementsAre(MatchesRegex("write\\([0-9]+, \"2\", 1\\) = 1"),
                            MatchesRegex("write\\([0-9]+, \"3\", 1\\) = 1")));
  });
}

TEST_P(CgroupLessonTest, SkipsTheLimitWhereItMayMakeNoCgroup) {
  WithoutCgroups([&] {
    const json run = RunJson();
    EXPECT_EQ(run["verdict"], "holds");
    const json& limit = run["claims"].back();
    EXPECT_TRUE(limit["holds"].is_null());
    EXPECT_THAT(limit["reason"].get<std::string>(),
                AnyOf(HasSubstr("No cgroup is delegated to this user"),
                      HasSubstr("No cgroup here has children with pids")));
    EXPECT_THAT(Calls(run, "inside"),
                ElementsAre("unshare(CLONE_NEWCGROUP) = 0"));
    // What is left is tried with the cgroup in which the lesson was started.
    std::string own;
    for (const Membership& membership : MembershipsOf(getpid())) {
      own = membership.cgroup;
      if (own != "/") break;
    }
    EXPECT_EQ(Value(run, "outside", "lower"), own);
    EXPECT_EQ(Value(run, "inside", "lower"), "/");
    EXPECT_EQ(run["claims"][2]["holds"].is_null(), own == "/");
  });
}

TEST_P(CgroupLessonTest, SkipsWhatCannotBeSeenFromARoot) {
  WithoutCgroups([&] {
    const json run = RunJson([] {
      EnterUserNamespaceAsRoot();
      Check(unshare(CLONE_NEWCGROUP), "unshare(CLONE_NEWCGROUP)");
    });
    EXPECT_EQ(run["verdict"], "holds");
    std::vector<std::string> reasons;
    for (const json& claim : run["claims"]) {
      reasons.push_back(claim.value("reason", ""));
    }
    EXPECT_THAT(reasons,
                ElementsAre("", "", "It was in the root before.",
                            "No process is seen in another cgroup.", "",
                            AnyOf(HasSubstr("No cgroup is delegated"),
                                  HasSubstr("No cgroup here has"))));
  });
}

TEST_P(CgroupLessonTest, LeavesNoCgroupBehind) {
  WithCgroups([&] {
    const CgroupPlace place = FindCgroupPlace("pids").value();
    const auto left = [&] {
      std::vector<std::string> names;
      for (const auto& entry : fs::directory_iterator(place.folder)) {
        if (entry.is_directory()) names.push_back(entry.path().filename());
      }
      return names;
    };
    const std::vector<std::string> before = left();
    EXPECT_EQ(RunJson()["verdict"], "holds");
    EXPECT_EQ(left(), before);
  });
}

TEST_P(CgroupLessonTest, ShellHasJoinedTheNamespaceAndNotTheCgroup) {
  WithCgroups([&] {
    Terminal terminal({.program = program(),
                       .arguments = {"--shell"},
                       .as_nobody = as_nobody()});
    const std::string shown = terminal.ReadTo("[inside cgroup] ");
    const std::string look = "readlink /proc/";
    const std::string rest = shown.substr(shown.find(look) + look.size());
    const std::string pid = rest.substr(0, rest.find('/'));
    terminal.Type(fmt::format(
        "sed -n 's/^[0-9]*:{}:/path /p' /proc/{}/cgroup /proc/self/cgroup\n",
        FindCgroupPlace("pids")->controllers, pid));
    terminal.ReadTo("\npath /\r\npath /..");
    terminal.Type("exit\n");
    terminal.Type("exit\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
    EXPECT_THAT(Survivors(), IsEmpty());
  });
}

}  // namespace
}  // namespace steps
