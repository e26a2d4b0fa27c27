#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;

class LeaksTest : public LessonTest {
 protected:
  LeaksTest() : LessonTest("leaks") {}

  static std::map<std::string, std::string> Verdicts(const json& run) {
    std::map<std::string, std::string> verdicts;
    for (const json& row : run["comparison"]) {
      verdicts[row["probe"]] = row["verdict"];
    }
    return verdicts;
  }
};

INSTANTIATE_TEST_SUITE_P(As, LeaksTest, testing::Bool(), UserName);

// As `date -u` and the lesson write it: of two, the later is the greater.
std::string Date() {
  return fmt::format("{:%F %T}", fmt::gmtime(std::time(nullptr)));
}

TEST_P(LeaksTest, WithAllFlagsEveryNamespaceIsNew) {
  const std::map<std::string, std::string> verdicts = Verdicts(RunJson());
  for (const Kind& kind : Kinds()) {
    EXPECT_EQ(verdicts.at(std::string(kind.name)), "isolated") << kind.name;
  }
}

TEST_P(LeaksTest, InsideIsPid1AndHasItsOwnHostname) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "PID"), ElementsAre("1"));
  EXPECT_THAT(Values(run, "child", "PID"), Not(Contains("1")));
  EXPECT_THAT(Values(run, "inside", "host"), ElementsAre("container_001"));
  EXPECT_EQ(Values(run, "child", "host"), Values(run, "outside", "host"));
  EXPECT_EQ(Verdicts(run).at("host"), "isolated");
  EXPECT_EQ(Verdicts(run).at("PID"), "isolated");
}

TEST_P(LeaksTest, MachineIsTheSameOnEverySide) {
  utsname names = {};
  uname(&names);
  std::string threads = ReadFile("/proc/sys/kernel/threads-max");
  threads.pop_back();
  const std::string memory = ReadFile("/proc/meminfo");
  const json run = RunJson();
  for (const std::string side : {"outside", "child", "inside"}) {
    EXPECT_THAT(Values(run, side, "kernel"), ElementsAre(names.release));
    EXPECT_THAT(Values(run, side, "threads"), ElementsAre(threads));
    EXPECT_THAT(Values(run, side, "CPUs"),
                ElementsAre(std::to_string(sysconf(_SC_NPROCESSORS_ONLN))));
    ASSERT_EQ(Values(run, side, "memory").size(), 1U);
    EXPECT_THAT(memory, testing::ContainsRegex(
                            "^MemTotal: +" +
                            *Values(run, side, "memory").begin() + "\n"));
  }
  for (const char* probe : {"kernel", "CPUs", "memory", "threads"}) {
    EXPECT_EQ(Verdicts(run).at(probe), "shared") << probe;
  }
}

TEST_P(LeaksTest, LoadAndDateAreThoseOfTheOutside) {
  const std::string earlier = Date();
  const json run = RunJson();
  const std::string later = Date();
  EXPECT_THAT(Values(run, "inside", "realtime"),
              AllOf(Not(IsEmpty()), Each(AllOf(Ge(earlier), Le(later)))));
  EXPECT_THAT(Values(run, "inside", "load"), Not(IsEmpty()));
  EXPECT_THAT(Values(run, "outside", "load"),
              testing::IsSupersetOf(Values(run, "inside", "load")));
}

TEST_P(LeaksTest, FileAndSocketGetThroughUntilTheyAreHidden) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "file"),
              ElementsAre("ENOENT", "from outside"));
  EXPECT_THAT(Values(run, "inside", "socket"), ElementsAre("ENOENT", "sent"));
  EXPECT_THAT(Values(run, "outside", "socket"), ElementsAre("from inside"));
  EXPECT_THAT(
      Calls(run, "inside"),
      ElementsAre("sethostname(\"container_001\", 13) = 0",
                  "mount(\"tmpfs\", \"/dev/shm\", \"tmpfs\", 0, NULL) = 0"));
  EXPECT_EQ(run["questions"][0]["found"], "from outside");
}

TEST_P(LeaksTest, NothingStaysInTheMachinesDevShm) {
  RunJson();
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/file"));
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/socket"));
}

TEST_P(LeaksTest, RunsInsideItself) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
    Check(sethostname("container_001", 13), "sethostname()");
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "inside", "host"), ElementsAre("container_002"));
}

TEST_P(LeaksTest, CannotRunWhereNoUserNamespaceMayBeMade) {
  const json run = RunJson(ForbidUserNamespaces, 77);
  EXPECT_THAT(run["error"].get<std::string>(), HasSubstr("CLONE_NEWUSER"));
  EXPECT_THAT(run["cause"].get<std::string>(),
              HasSubstr("user.max_user_namespaces is 0"));
}

TEST_P(LeaksTest, ShellIsInsideAndHasItsOrphansReaped) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside leaks] root@container_001:");
  terminal.Type("echo \"files <$(ls -A /dev/shm)>\"\n");
  terminal.ReadTo("\nfiles <>\r\n");
  // Where PID 1 does not reap, /proc keeps its folder.
  terminal.Type("mount -t proc proc /proc\n");
  terminal.Type("orphan=$(sleep 0.01 >/dev/null & echo $!)\n");
  terminal.Type(
      "until grep -qs Z /proc/$orphan/stat || ! [ -e /proc/$orphan ]\n"
      "do :; done; ls -d /proc/$orphan || echo reaped\n");
  terminal.ReadTo("\nreaped");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
