// Solutions are done; starters and wrong programs are told what is wrong.

#include "tests/support/lessons.h"

namespace steps {
namespace {

const std::string kExercises = "lessons/exercises/";

std::string Solution(const std::string& exercise) {
  return fmt::format("{}solutions/{}.cc", kExercises, exercise);
}

class ExercisesTest : public LessonTest {
 protected:
  // What check says of the exercise; empty where it is done.
  std::string Why(const std::string& exercise,
                  const std::string& source) const {
    const Result result = Try({"--json", "--exercise", exercise,
                               directory_.Put(exercise + ".cc", source)});
    const json document = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(document, "check.schema.json"), "");
    EXPECT_EQ(DescribeStatus(result.status),
              document["done"] ? "exit status 0" : "exit status 1")
        << result.errors;
    return document.value("why", "");
  }

  const TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Is, ExercisesTest, ValuesIn(ForBothUsers({"check"})),
                         LessonName);

// The page shows, and CheckTest compares, what is said of each as it stands.
TEST_P(ExercisesTest, EveryStarterHasAHoleAndASolutionThatIsDone) {
  for (const auto& entry : fs::directory_iterator(kExercises)) {
    if (entry.is_directory()) continue;
    const std::string exercise = entry.path().stem();
    const std::string starter = ReadFile(entry.path());
    EXPECT_THAT(starter, HasSubstr("HOLE")) << exercise;
    EXPECT_LE(std::ranges::count(starter, '\n'), 60) << exercise;
    EXPECT_EQ(Why(exercise, ReadFile(Solution(exercise))), "") << exercise;
  }
}

// A solution with something wrong in it.
struct Wrong {
  std::string exercise;
  std::string says;
  std::string from;
  std::string to;
  bool by_root = false;  // An ordinary user's host hides it: docs/check.md.
};

const std::vector<Wrong> kWrong = {
    {"uts",
     "in a new UTS namespace, but the hostname was changed before it was. The "
     "host is renamed, too: vm was host.",
     "  const int flags", "  sethostname(\"vm\", 2);\n  const int flags"},
    {"uts", "still has the host's name", "sethostname(\"container_001\", 13)",
     "getpid()"},
    {"uts", "nobody waits for it", "waitpid(child, nullptr, 0);", ""},
    {"uts", "ended (exit status 0) before it waited for anything",
     "execlp(\"sh\", \"sh\", nullptr)", "_exit(0)"},
    {"setns", "a child that joins does not take its parent along",
     "if (setns(link, CLONE_NEWUTS) == -1)",
     "const pid_t child = fork();\n  if (child == 0) _exit(setns(link, "
     "CLONE_NEWUTS));\n  if (child == -1)"},
    {"setns", "A new namespace with the same name is another one",
     "setns(link, CLONE_NEWUTS)",
     "unshare(CLONE_NEWUTS) == -1 || sethostname(\"container_001\", 13)"},
    {"setns", "It wrote \"setns: Invalid argument\".", "CLONE_NEWUTS",
     "CLONE_NEWNET"},
    {"ipc", "in a new IPC namespace, but the object was made before",
     "  const int flags", "  msgget(IPC_PRIVATE, 0600);\n  const int flags"},
    {"ipc", "There is no queue inside", "msgget(IPC_PRIVATE, 0600)",
     "getpid()"},
    {"pid", "kept its own PID",
     "clone(Child, stack + sizeof stack, flags, nullptr)",
     "unshare(flags & ~SIGCHLD) == -1 ? -1 : Child(nullptr)"},
    {"proc", "was shared and is private now", "  const int flags",
     "  mount(\"none\", \"/\", nullptr, MS_REC | MS_PRIVATE, nullptr);\n"
     "  const int flags"},
    {"proc", "on the host, too: proc on /proc.", " | CLONE_NEWNS", ""},
    {"proc", "/proc is still the host's",
     "mount(\"proc\", \"/proc\", \"proc\", 0, nullptr)", "getpid()"},
    {"mount", "MS_PRIVATE cuts both ways", "MS_SLAVE", "MS_PRIVATE"},
    {"mount", "without MS_REC, only one mount is changed", "MS_REC | MS_SLAVE",
     "MS_SLAVE"},
    {"unshare", "unshare(2) moves its caller, clone(2) only the child",
     "CLONE_NEWUTS | ", ""},
    {"unshare", "kept its own PID", "if (child == 0) {",
     "if (child == 0) {\n    unshare(CLONE_NEWPID);"},
    {"user", "It wrote \"gid_map: Operation not permitted\".",
     "Write(\"/proc/self/setgroups\", \"deny\");", "", true},
    {"user", "It wrote \"uid_map: Operation not permitted\".",
     "\"0 %u 1\", getuid()", "\"%u 0 1\", getuid()"},
    {"user", "a uid map and no gid map",
     "Write(\"/proc/self/gid_map\", gid_map);", "(void)gid_map;"},
    {"net", "No process is in a new network namespace.", "CLONE_NEWNET",
     "CLONE_NEWNS"},
    {"net", "It wrote \"Cannot find device\".",
     "\"netns\", std::to_string(child).c_str()", "\"mtu\", \"1500\""},
    {"net", "On the host, no end of a veth pair is up.",
     "if (!Ip(\"link\", \"set\", \"outside\", \"up\")) return 1;", ""},
    {"pivot_root", "The old root is still mounted, on /",
     "umount2(\".\", MNT_DETACH)", "getpid()"},
    {"pivot_root", "on the host, too", "CLONE_NEWNS | ", ""},
    {"container", "there is no /proc",
     "mount(\"proc\", \"proc\", \"proc\", 0, nullptr)", "getpid()"},
    {"container", "The root was changed by chroot(2)",
     "syscall(SYS_pivot_root, \".\", \".\"), \"pivot_root\");",
     "chroot(\".\"), \"chroot\");\n  return;"},
    {"container", "lo is down", "IFF_UP", "0"},
};

TEST_P(ExercisesTest, EveryWrongProgramIsToldOfItsMistake) {
  for (const auto& [exercise, says, from, to, by_root] : kWrong) {
    if (by_root && as_nobody()) continue;
    std::string source = ReadFile(Solution(exercise));
    const std::size_t place = source.find(from);
    ASSERT_NE(place, std::string::npos) << exercise << ": " << from;
    source.replace(place, from.size(), to);
    EXPECT_THAT(Why(exercise, source), HasSubstr(says)) << from;
  }
}

}  // namespace
}  // namespace steps
