#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::MatchesRegex;

class LeaksTest : public LessonTest {
 protected:
  LeaksTest() : LessonTest("leaks") {}
};

INSTANTIATE_TEST_SUITE_P(As, LeaksTest, testing::Bool(), UserName);

TEST_P(LeaksTest, AllNamespacesAreNewAndTheMachineIsNot) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "host", "not shared"),
              ElementsAre("(none)", KindNames(KnownFlags())));
  EXPECT_THAT(Values(run, "inside", "PID"), ElementsAre("1"));
  EXPECT_THAT(Values(run, "inside", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Values(run, "host", "hostname"), ElementsAre("host"));
  EXPECT_EQ(Found(run), "the memory in /proc/meminfo");

  const std::map<std::string, std::string> machine = {
      {"kernel", Uname().release},
      {"CPUs", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))},
      {"memory", ReadField("/proc/meminfo", "MemTotal")},
      {"threads at most", ReadText("/proc/sys/kernel/threads-max")}};
  ASSERT_EQ(run["comparison"].size(), machine.size());
  for (const json& row : run["comparison"]) {
    EXPECT_EQ(row["inside"], machine.at(row["probe"]));
    EXPECT_EQ(row["verdict"], "shared") << row["probe"];
  }
}

TEST_P(LeaksTest, LoadAndDateAreThoseOfTheOutside) {
  const json run = RunJson();
  for (const char* probe : {"load", "CLOCK_REALTIME"}) {
    EXPECT_THAT(Values(run, "inside", probe), testing::SizeIs(1));
  }
  EXPECT_THAT(Values(run, "host", "load"),
              IsSupersetOf(Values(run, "inside", "load")));
}

TEST_P(LeaksTest, FileAndSocketGetThroughUntilTheyAreHidden) {
  EXPECT_THAT(
      Calls(RunJson(), "inside"),
      ElementsAre(
          "sethostname(\"container_001\", 13) = 0",
          MatchesRegex("open\\(\"/dev/shm/file\", O_RDONLY\\) = [0-9]+"),
          MatchesRegex("sendto\\(.*\"/dev/shm/socket\"\\) = 5"),
          "mount(\"tmpfs\", \"/dev/shm\", \"tmpfs\", 0, NULL) = 0",
          "open(\"/dev/shm/file\", O_RDONLY) = ENOENT",
          MatchesRegex("sendto\\(.*\"/dev/shm/socket\"\\) = ENOENT")));
}

TEST_P(LeaksTest, DoesWithoutDevShm) {
  const json run = RunJson(EnterMachineWithoutShm);
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Calls(run, "inside"),
              Contains("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL) = 0"));
}

TEST_P(LeaksTest, ShellIsInsideAndHasItsOrphansReaped) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside leaks] root@container_001:");
  terminal.Type("echo \"files <$(ls -A /dev/shm)>\"\n");
  terminal.ReadTo("\nfiles <>\r\n");
  // Where PID 1 does not reap, /proc keeps its directory.
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
