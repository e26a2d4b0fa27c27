// Every solution is done, every starter is told of its hole, and every program
// that people write by mistake is told of that mistake.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

using Replacements = std::vector<std::pair<std::string, std::string>>;

const std::string kExercises = "lessons/exercises/";
const std::string kPrivate =
    "mount(\"none\", \"/\", nullptr, MS_REC | MS_PRIVATE, nullptr)";

std::string Solution(const std::string& exercise) {
  return fmt::format("{}solutions/{}.cc", kExercises, exercise);
}

class ExercisesTest : public LessonTest {
 protected:
  ExercisesTest() : LessonTest("check") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    fs::permissions(directory_, fs::perms(0755));
  }
  ~ExercisesTest() override { fs::remove_all(directory_); }

  // Where anybody may read it.
  std::string Put(const std::string& name, const std::string& source) const {
    std::string path = fmt::format("{}/{}.cc", directory_, name);
    std::ofstream(path) << source;
    return path;
  }

  // What check says of the exercise; empty where it is done.
  std::string Why(const std::string& exercise,
                  const std::string& source) const {
    const Result result =
        Run({"--json", "--exercise", exercise, Put(exercise, source)});
    const json document = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(document, "check.schema.json"), "");
    EXPECT_EQ(DescribeStatus(result.status),
              document["done"] ? "exit status 0" : "exit status 1")
        << result.errors;
    return document.value("why", "");
  }

  std::string directory_ = "/tmp/exercises_test.XXXXXX";
};

INSTANTIATE_TEST_SUITE_P(As, ExercisesTest, testing::Bool(), UserName);

const std::vector<std::pair<std::string, std::string>> kHoles = {
    {"uts", "The hostname was changed without CLONE_NEWUTS."},
    {"setns", "is not in the namespace that was to be joined"},
    {"ipc", "made without CLONE_NEWIPC"},
    {"pid", "No process is in a new PID namespace."},
    {"proc", "on the host, too: proc on /proc. On your machine, ps would"},
    {"mount", "on the host, too: tmpfs on /mnt."},
    {"unshare", "only its next child is in the new PID namespace"},
    {"init", "Nobody reaps what has ended"},
    {"user", "no uid map: the user there is 65534"},
    {"net", "lo is down"},
    {"pivot_root", "changed by chroot(2), and the old one is still there"},
    {"container", "The container has no IPC namespace of its own."}};

TEST_P(ExercisesTest, EverySolutionIsDone) {
  for (const auto& [exercise, hole] : kHoles) {
    const std::string source = ReadFile(Solution(exercise));
    EXPECT_EQ(Why(exercise, source), "") << exercise;
  }
}

TEST_P(ExercisesTest, EveryStarterIsToldOfItsHole) {
  for (const auto& [exercise, hole] : kHoles) {
    const std::string source = ReadFile(kExercises + exercise + ".cc");
    EXPECT_THAT(source, HasSubstr("HOLE"));
    EXPECT_LE(std::count(source.begin(), source.end(), '\n'), 60) << exercise;
    EXPECT_THAT(Why(exercise, source), HasSubstr(hole)) << exercise;
  }
}

// A solution with something wrong in it.
struct Wrong {
  std::string exercise;
  std::string name;
  Replacements replacements;
  std::string says;
  bool by_root = false;  // An ordinary user's host hides it: docs/check.md.
};

const std::vector<Wrong> kWrong = {
    {"uts",
     "renamed before clone",
     {{"  const int flags", "  sethostname(\"vm\", 2);\n  const int flags"}},
     "in a new UTS namespace, but the hostname was changed before it was. The "
     "host is renamed, too: vm was host."},
    {"uts",
     "not renamed",
     {{"sethostname(\"container_001\", 13)", "getpid()"}},
     "still has the host's name"},
    {"uts",
     "not awaited",
     {{"waitpid(child, nullptr, 0);", ""}},
     "nobody waits for it"},
    {"uts",
     "no shell",
     {{"execlp(\"sh\", \"sh\", nullptr)", "_exit(0)"}},
     "ended (exit status 0) before it waited for anything"},
    {"setns",
     "the child joins",
     {{"if (setns(link, CLONE_NEWUTS) == -1)",
       "const pid_t child = fork();\n  if (child == 0) _exit(setns(link, "
       "CLONE_NEWUTS));\n  if (child == -1)"}},
     "a child that joins does not take its parent along"},
    {"setns",
     "a new one of the same name",
     {{"setns(link, CLONE_NEWUTS)",
       "unshare(CLONE_NEWUTS) == -1 || sethostname(\"container_001\", 13)"}},
     "A new namespace with the same name is another one"},
    {"setns",
     "another kind",
     {{"CLONE_NEWUTS", "CLONE_NEWNET"}},
     "It wrote \"setns: Invalid argument\"."},
    {"ipc",
     "made before clone",
     {{"  const int flags", "  msgget(IPC_PRIVATE, 0600);\n  const int flags"}},
     "in a new IPC namespace, but the object was made before"},
    {"ipc",
     "another kind",
     {{"CLONE_NEWIPC", "CLONE_NEWNS"}},
     "made without CLONE_NEWIPC"},
    {"ipc",
     "no queue",
     {{"msgget(IPC_PRIVATE, 0600)", "getpid()"}},
     "There is no queue inside"},
    {"pid",
     "unshare without fork",
     {{"clone(Child, stack + sizeof stack, flags, nullptr)",
       "unshare(flags & ~SIGCHLD) == -1 ? -1 : Child(nullptr)"}},
     "kept its own PID"},
    {"pid",
     "another kind",
     {{"CLONE_NEWPID", "CLONE_NEWNS"}},
     "No process is in a new PID namespace."},
    {"proc",
     "one mount is private",
     {{"MS_REC | MS_PRIVATE", "MS_PRIVATE"}},
     "on the host, too: proc on /proc."},
    {"proc",
     "the host's mounts are private",
     {{"  const int flags", "  " + kPrivate + ";\n  const int flags"}},
     "was shared and is private now"},
    {"proc",
     "no mount namespace",
     {{" | CLONE_NEWNS", ""}},
     "on the host, too: proc on /proc."},
    {"proc",
     "no proc",
     {{"mount(\"proc\", \"/proc\", \"proc\", 0, nullptr)", "getpid()"}},
     "/proc is still the host's"},
    {"mount",
     "private",
     {{"MS_SLAVE", "MS_PRIVATE"}},
     "MS_PRIVATE cuts both ways"},
    {"mount",
     "one slave",
     {{"MS_REC | MS_SLAVE", "MS_SLAVE"}},
     "without MS_REC, only one mount is changed"},
    {"mount",
     "shared",
     {{"MS_SLAVE", "MS_SHARED"}},
     "on the host, too: tmpfs on /mnt."},
    {"unshare",
     "no fork",
     {{"const pid_t child = fork()", "const pid_t child = 0"}},
     "kept its own PID"},
    {"unshare",
     "moves no UTS namespace",
     {{"CLONE_NEWUTS | ", ""}},
     "unshare(2) moves its caller, clone(2) only the child"},
    {"unshare",
     "the child again",
     {{"if (child == 0) {", "if (child == 0) {\n    unshare(CLONE_NEWPID);"}},
     "kept its own PID"},
    {"init",
     "waits for the shell",
     {{"wait(nullptr);", "waitpid(shell, nullptr, 0);"}},
     "Nobody reaps"},
    {"init",
     "waits once",
     {{"while (ended != shell && ended != -1);",
       "while (false);\n  waitpid(shell, nullptr, 0);"}},
     "Nobody reaps"},
    {"user",
     "setgroups is allowed",
     {{"Write(\"/proc/self/setgroups\", \"deny\");", ""}},
     "It wrote \"gid_map: Operation not permitted\".",
     true},
    {"user",
     "asks for the IDs inside",
     {{"  char uid_map[32];", "  unshare(CLONE_NEWUSER);\n  char uid_map[32];"},
      {"if (unshare(CLONE_NEWUSER) == -1)", "if (false)"}},
     "map: Operation not permitted\"."},
    {"user",
     "outside before inside",
     {{"\"0 %u 1\", getuid()", "\"%u 0 1\", getuid()"}},
     "It wrote \"uid_map: Operation not permitted\"."},
    {"user",
     "no gid map",
     {{"Write(\"/proc/self/gid_map\", gid_map);", "(void)gid_map;"}},
     "a uid map and no gid map"},
    {"net",
     "another kind",
     {{"CLONE_NEWNET", "CLONE_NEWNS"}},
     "No process is in a new network namespace."},
    {"net",
     "both ends on the host",
     {{" netns %d", ""}},
     "It wrote \"Cannot find device\"."},
    {"net",
     "the host's end is down",
     {{"if (system(\"ip link set outside up\") != 0) return 1;", ""}},
     "On the host, no end of a veth pair is up."},
    {"pivot_root",
     "the old root stays",
     {{"umount2(\".\", MNT_DETACH)", "getpid()"}},
     "The old root is still mounted, on /"},
    {"pivot_root",
     "shared",
     {{kPrivate, "getpid()"}},
     "on the host, too: tmpfs on /mnt"},
    {"pivot_root",
     "no mount namespace",
     {{"CLONE_NEWNS | ", ""}},
     "on the host, too"},
    {"container",
     "no proc",
     {{"mount(\"proc\", \"proc\", \"proc\", 0, nullptr)", "getpid()"}},
     "there is no /proc"},
    {"container",
     "chroot",
     {{"syscall(SYS_pivot_root, \".\", \".\")", "chroot(\".\")"},
      {"umount2(\".\", MNT_DETACH)", "getpid()"}},
     "The root was changed by chroot(2)"},
    {"container",
     "lo is down",
     {{"system(\"ip link set lo up\")", "getppid()"}},
     "lo is down"},
    {"container",
     "no IPC namespace",
     {{"CLONE_NEWIPC | ", ""}},
     "The container has no IPC namespace of its own."}};

TEST_P(ExercisesTest, EveryWrongProgramIsToldOfItsMistake) {
  for (const auto& [exercise, name, replacements, says, by_root] : kWrong) {
    if (by_root && as_nobody()) continue;
    std::string source = ReadFile(Solution(exercise));
    for (const auto& [from, to] : replacements) {
      const std::size_t place = source.find(from);
      ASSERT_NE(place, std::string::npos) << exercise << ": " << from;
      source.replace(place, from.size(), to);
    }
    EXPECT_THAT(Why(exercise, source), HasSubstr(says))
        << exercise << ": " << name;
  }
}

}  // namespace
}  // namespace steps
