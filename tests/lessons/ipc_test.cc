#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
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

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

using Strings = std::set<std::string>;

class IpcTest : public LessonTest {
 protected:
  IpcTest() : LessonTest("ipc") {}
};

INSTANTIATE_TEST_SUITE_P(As, IpcTest, testing::Bool(), UserName);

// The System V objects in this process's namespace: key and identifier.
Strings Objects() {
  Strings objects;
  for (const char* kind : {"msg", "shm", "sem"}) {
    std::istringstream lines(ReadFile(fmt::format("/proc/sysvipc/{}", kind)));
    for (std::string line; std::getline(lines, line);) {
      objects.insert(kind + line.substr(0, 21));
    }
  }
  return objects;
}

std::string Namespace() { return fs::read_symlink("/proc/self/ns/ipc"); }

// What `side` is told when it asks for the four objects that `maker` made: each
// answer with its probe.
Strings Answers(const json& run, const std::string& side,
                const std::string& maker) {
  const std::string key = fmt::format("({:#x}, ", maker[0]);
  Strings answers;
  for (const json& entry : run["evidence"]) {
    const std::string source = entry["source"];
    if (entry["side"] == side &&
        (source.find(key) != std::string::npos ||
         source == fmt::format("mq_open(\"{}\", O_RDONLY)", maker))) {
      answers.insert(entry["probe"].get<std::string>() + ": " +
                     entry["value"].get<std::string>());
    }
  }
  return answers;
}

Strings All(const std::string& answer) {
  return {"queue: " + answer, "memory: " + answer, "semaphores: " + answer,
          "POSIX queue: " + answer};
}

// The keys that ipcs(1) lists for `side`: one for each object.
std::vector<std::string> Keys(const json& run, const std::string& side) {
  std::vector<std::string> keys;
  for (const std::string& table : Values(run, side, "System V")) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("0x")) keys.push_back(line.substr(0, 10));
    }
  }
  return keys;
}

TEST_P(IpcTest, OutsideIsNotThisMachine) {
  const Strings before = Objects();
  const json run = RunJson();
  const Strings outside = Values(run, "outside", "namespace");
  EXPECT_THAT(outside, SizeIs(2));
  EXPECT_THAT(outside, Contains(Namespace())) << "the first look";
  EXPECT_THAT(Values(run, "child", "namespace"), Not(Contains(Namespace())));
  EXPECT_EQ(Objects(), before);
}

TEST_P(IpcTest, ControlSharesWhatEitherMakes) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "namespace"),
              IsSupersetOf(Values(run, "child", "namespace")));
  EXPECT_EQ(Answers(run, "child", "outside"), All("found"));
  EXPECT_EQ(Answers(run, "outside", "child"), All("found"));
  EXPECT_THAT(Keys(run, "child"),
              ElementsAre("0x0000006f", "0x00000063", "0x0000006f",
                          "0x00000063", "0x0000006f", "0x00000063"));
  EXPECT_THAT(Values(run, "child", "POSIX"), ElementsAre("child outside"));
}

TEST_P(IpcTest, InsideHasNothingOfTheOutside) {
  const json run = RunJson();
  EXPECT_EQ(Answers(run, "outside", "outside"), All("found"));
  EXPECT_EQ(Answers(run, "inside", "outside"), All("ENOENT"));
  EXPECT_EQ(Found(run), "ENOENT");
  EXPECT_THAT(Keys(run, "inside"),
              ElementsAre("0x00000069", "0x00000069", "0x00000069"));
  EXPECT_THAT(Values(run, "inside", "POSIX"), ElementsAre("inside"));
}

TEST_P(IpcTest, OutsideHasNothingOfTheInside) {
  const json run = RunJson();
  EXPECT_EQ(Answers(run, "outside", "inside"), All("ENOENT"));
  EXPECT_THAT(Keys(run, "outside"),
              ElementsAre("0x0000006f", "0x00000063", "0x0000006f",
                          "0x00000063", "0x0000006f", "0x00000063"));
  EXPECT_THAT(Values(run, "outside", "POSIX"), ElementsAre("child outside"));
}

TEST_P(IpcTest, ComparisonIsIsolatedInEveryRow) {
  const json run = RunJson();
  ExpectIsolated(run,
                 {"queue", "memory", "semaphores", "POSIX queue", "namespace"});
}

TEST_P(IpcTest, FileSocketAndSignalGetThrough) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "file"), ElementsAre("from outside"));
  EXPECT_THAT(Values(run, "outside", "socket"), ElementsAre("from inside"));
  EXPECT_THAT(Calls(run, "outside"),
              Contains(MatchesRegex("kill\\([0-9]+, SIGKILL\\) = 0")));
  EXPECT_THAT(Values(run, "outside", "inside"),
              ElementsAre("killed by SIGKILL"));
}

TEST_P(IpcTest, NamespaceEndsWithItsLastProcess) {
  const json run = RunJson();
  const std::vector<std::string> calls = Calls(run, "outside");
  EXPECT_THAT(
      calls,
      Contains(MatchesRegex("open\\(\"/dev/shm/child/late\", .*\\) = [0-9]+")));
  EXPECT_THAT(calls, Contains("open(\"/dev/shm/inside/late\", O_CREAT, 0600) = "
                              "EACCES"));
  EXPECT_EQ(Answers(run, "later", "inside"), All("ENOENT"));
}

// What the lesson takes that refusal for: it comes when the namespace has
// ended, and not as long as a descriptor holds it.
TEST(MqueueMount, RefusesANewQueueOnceItsNamespaceHasEnded) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNS), "unshare()");
    Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount()");
    Check(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr), "mount()");
    const auto error = [](const char* path) {
      return Descriptor(open(path, O_CREAT, 0600)).get() == -1 ? errno : 0;
    };
    Child member([](Line& line) {
      Check(unshare(CLONE_NEWIPC), "unshare()");
      Check(mount("mqueue", "/tmp", "mqueue", 0, nullptr), "mount()");
      line.Send("mounted");
      line.Checkpoint();
    });
    member.Fork();
    member.Receive();
    Descriptor held = Open(fmt::format("/proc/{}/ns/ipc", member.pid()), 0);
    member.Finish();
    EXPECT_EQ(error("/tmp/held"), 0);
    fs::remove("/tmp/held");
    held.Close();
    EXPECT_EQ(error("/tmp/ended"), EACCES);
  });
}

TEST_P(IpcTest, ShowsIpcsAsItIs) {
  const std::string output = Run().output;
  EXPECT_THAT(output,
              HasSubstr("              ------ Message Queues --------\n"
                        "              key        msqid      owner      perms  "
                        "    used-bytes   messages\n"
                        "              0x00000069 0          root       600    "
                        "    0            0\n"
                        "              ------ Shared Memory Segments"));
}

TEST_P(IpcTest, DoesWithoutTheToolAndSaysSo) {
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  EXPECT_EQ(RunJson(hide)["verdict"], "holds");
  const std::string output = Run({}, hide).output;
  EXPECT_THAT(output, HasSubstr("ipcs is not installed: /proc/sysvipc\n"));
  EXPECT_THAT(output, HasSubstr("                     105          0   600"))
      << "the key of the inside, as /proc/sysvipc has it";
  ExpectFits80Columns(output);
}

TEST_P(IpcTest, DoesWithoutDevShm) {
  // An empty /dev, but for what every program needs.
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNS), "unshare()");
    Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount()");
    Check(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), "mount()");
    Open("/mnt/null", O_WRONLY | O_CREAT, 0600);
    Check(mount("/dev/null", "/mnt/null", nullptr, MS_BIND, nullptr),
          "mount()");
    Check(mount("/mnt", "/dev", nullptr, MS_BIND | MS_REC, nullptr), "mount()");
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Calls(run, "outside"),
              Contains("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL) = 0"));
}

// A user's POSIX queues have one limit in all namespaces together.
TEST_P(IpcTest, RunsManyTimesAtOnce) {
  std::vector<std::unique_ptr<Process>> runs(20);
  for (auto& run : runs) {
    run = std::make_unique<Process>(
        Command{.program = program(), .as_nobody = as_nobody()});
  }
  for (const auto& run : runs) {
    const Result result = run->Await();
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0")
        << result.errors << result.output;
  }
}

// Whether any process is in this IPC namespace.
bool HasMembers(const std::string& link) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path() / "ns/ipc", gone) == link) return true;
  }
  return false;
}

TEST_P(IpcTest, ShellsQueueIsNotOnThisMachineAndEndsWithTheShell) {
  const Strings before = Objects();
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside ipc] ");
  terminal.Type("ipcs -q | grep -c 0x\n");
  terminal.ReadTo("\n0\r\n");
  terminal.Type("ipcmk -Q\n");
  terminal.ReadTo("\nMessage queue id: 0\r\n");
  terminal.Type("ipcs -q | grep -c 0x\n");
  terminal.ReadTo("\n1\r\n");
  EXPECT_EQ(Objects(), before);

  terminal.Type("readlink /proc/self/ns/ipc\n");
  terminal.ReadTo("\nipc:");
  const std::string link = "ipc:" + terminal.ReadTo("]");
  EXPECT_TRUE(HasMembers(link));
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
  EXPECT_FALSE(HasMembers(link));
  EXPECT_EQ(Objects(), before);
}

}  // namespace
}  // namespace steps
