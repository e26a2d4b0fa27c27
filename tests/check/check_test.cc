// What check says of any program: what it isolates, leaks and gets wrong; and
// of the exercises: solutions are done, starters and wrong programs are told
// why not.

#include "tests/support/lessons.h"

namespace steps {
namespace {

const std::string kExercises = "lessons/exercises/";

std::string Solution(const std::string& exercise) {
  return fmt::format("{}solutions/{}.cc", kExercises, exercise);
}

class CheckTest : public LessonTest {
 protected:
  json XRay(const std::string& script) const {
    return Document({"--json", "sh", "-c", script});
  }

  // What is said of the exercise; empty where it is done.
  std::string Why(const std::string& exercise,
                  const std::string& source) const {
    const std::string path = directory_.Put(exercise + ".cc", source);
    return Document({"--json", "--exercise", exercise, path}).value("why", "");
  }

  static json Line(const json& document, const std::string& what) {
    for (const json& line : document["evidence"]) {
      if (line["what"] == what) return line;
    }
    ADD_FAILURE() << "no " << what << " in " << document.dump(2);
    return {};
  }

  const TemporaryDirectory directory_;

 private:
  json Document(const Words& words) const {
    const Result result = Try(words);
    json document = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(document, "check.schema.json"), "");
    const bool good = document.value("done", document["mistakes"].empty());
    EXPECT_EQ(ExitStatus(result.status), good ? 0 : 1) << result.errors;
    return document;
  }
};

INSTANTIATE_TEST_SUITE_P(Is, CheckTest, ValuesIn(ForBothUsers({"check"})),
                         LessonName);

TEST_P(CheckTest, ShowsBothSidesOfEachKind) {
  const json document = XRay(
      "unshare --uts --ipc --net --user --map-root-user --mount-proc --pid "
      "--fork --cgroup --time --boottime 7 sh -c 'hostname vm; ipcmk -Q; "
      "ip link set lo up; exec sh'");
  EXPECT_THAT(document["mistakes"], IsEmpty());
  EXPECT_EQ(document["moment"], "at rest");
  for (const json& line : document["evidence"]) {
    EXPECT_NE(line.value("new", true), false) << line;
  }
  const auto expect = [&](const char* what, const char* inside,
                          const char* host) {
    EXPECT_EQ(Line(document, what)["inside"], inside) << what;
    EXPECT_EQ(Line(document, what).value("host", ""), host) << what;
  };
  expect("hostname", "vm", "host");
  expect("objects", "1 queue", "none");
  expect("/proc", "has its PID", "has its PID");
  expect("mounted anew", "proc on /proc", "none");
  expect("propagation of /", "private", "shared");
  expect("interfaces", "lo up", "lo up");
  expect("uid map", "0 0 1", "another");
  expect("root directory", "the host's", "its own");
  expect("no_new_privs", "0", "0");
  expect("seccomp", "0", "0");
  EXPECT_EQ(Line(document, "PID")["inside"], "1");
  EXPECT_THAT(Line(document, "clocks")["inside"], HasSubstr("boottime 7 0"));
}

TEST_P(CheckTest, NamesTheWellKnownMistakes) {
  // By the ID of each.
  const std::map<std::string, std::string> scripts = {
      {"nothing-new", "cat"},
      {"ended", "exit 3"},
      {"host-renamed", "hostname vm; exec unshare --uts cat"},
      {"old-proc", "unshare --pid --fork cat"},
      {"no-fork", "unshare --pid perl -e 'sleep'"},
      {"host-mounted",
       "unshare --pid --mount --fork --propagation shared sh -c 'mount -t proc "
       "proc /proc; cat'"},
      {"host-unmounted", "umount --lazy /proc; exec unshare --uts cat"},
      {"host-propagation", "mount --make-private /; exec unshare --uts cat"},
      {"host-ipc", "ipcmk -Q; exec unshare --ipc cat"},
      {"unmapped", "unshare --user cat"},
      {"lo-down", "unshare --net cat"},
      {"chroot",
       "mkdir /tmp/r; cp -L --parents $(ldd /bin/cat | grep -o '/lib[^ ]*') "
       "/bin/cat /tmp/r; exec unshare --mount --root /tmp/r /bin/cat"},
      {"zombies",
       "unshare --pid --fork --mount-proc perl -e 'fork or exit; sleep'"},
      {"parent-gone", "unshare --uts perl -e 'fork and exit; sleep'"}};
  for (const auto& [id, script] : scripts) {
    const json mistakes = XRay(script)["mistakes"];
    ASSERT_THAT(mistakes, SizeIs(1)) << script << mistakes;
    EXPECT_EQ(mistakes[0]["id"], id);
    const std::string lesson = mistakes[0]["lesson"];
    EXPECT_TRUE(lesson.empty() || fs::exists("docs/" + lesson + ".md")) << id;
  }
}

TEST_P(CheckTest, LeadsToTheManualAndTheLesson) {
  const Result result = Run({"unshare", "--pid", "--fork", "cat"}, {}, 1);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\n     mistake  In the new PID namespace"),
                    HasSubstr("\n     manual   pid_namespaces(7): \"mount a"),
                    HasSubstr("\n     lesson   bazel run //lessons:mount\n"),
                    HasSubstr("\n1 mistake.\n"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(result.errors, IsEmpty());
  ExpectFits80Columns(result.output);
}

#ifdef __x86_64__
TEST_P(CheckTest, ShowsWhatAProgramChoseAsText) {
  const json document = XRay(
      "unshare --uts perl -e '$n = \"a\\nb\\e[31m\"; "
      "syscall(170, $n, length $n) == 0 or die; sleep'");
  EXPECT_EQ(Line(document, "hostname")["inside"], "a\nb\x1b[31m");
}
#endif

// What is said of a starter as it stands, its page shows: see below.
TEST_P(CheckTest, EveryStarterHasAHoleAndASolutionThatIsDone) {
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

TEST_P(CheckTest, EveryWrongProgramIsToldOfItsMistake) {
  for (const auto& [exercise, says, from, to, by_root] : kWrong) {
    if (by_root && as_nobody()) continue;
    std::string source = ReadFile(Solution(exercise));
    const std::size_t place = source.find(from);
    ASSERT_NE(place, std::string::npos) << exercise << ": " << from;
    source.replace(place, from.size(), to);
    EXPECT_THAT(Why(exercise, source), HasSubstr(says)) << from;
  }
}

TEST_P(CheckTest, ChecksAllOfADirectory) {
  fs::copy(Solution("uts"), directory_.path());
  fs::copy(kExercises + "pid.cc", directory_.path());
  directory_.Put("ipc.cc", "int main() { return x; }\n");
  directory_.Put("user.sh",
                 "#!/bin/sh\nexec unshare --user --map-root-user sh\n");
  directory_.Put("init", "not executable\n", 0644);
  const Result result = Run({"--all", directory_.path()}, {}, 1);
  const json document =
      json::parse(Try({"--all", directory_.path(), "--json"}).output);
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("     done     uts        Rename yourself"),
            HasSubstr("     not yet  pid        No process is in a new PID"),
            HasSubstr("     not yet  ipc        It does not compile: "
                      "ipc.cc:1:21: error: "),
            HasSubstr("may not be run (chmod +x)"),
            HasSubstr("     not yet  net        There is no program for it.\n"),
            HasSubstr("     done     user       "),
            HasSubstr("\n2 of 12 exercises done.\n")));
  ExpectFits80Columns(result.output);
  EXPECT_EQ(document["done"], 2);
  EXPECT_EQ(document["results"].size(), 12);
  for (const json& each : document["results"]) {
    EXPECT_EQ(SchemaErrors(each, "check.schema.json"), "");
  }
}

void CoverPartOfProc() {
  EnterPrivateMounts();
  MountTmpfs("/proc/tty");
}

// A run that is misused, refused, or has a full disk.
struct Unfit {
  Words words;
  int status;
  std::string says;
  std::function<void()> before = [] {};
};

TEST_P(CheckTest, SaysWhyItCannotRun) {
  const std::string help = "Try: bazel run //lessons:check -- --help\n";
  const std::string full = "No space left on device";
  const Words sh = {"sh"};
  // Root there may be root of the machine, and is not trusted.
  const auto nobody = [](const std::string& cause) {
    return as_nobody() ? cause : "Root may not become another user here";
  };
  ExpectFits80Columns(Run({"--help"}).output);
  for (const auto& [words, status, says, before] : std::vector<Unfit>{
           {{}, 2, help},
           {{"--nonsense"}, 2, help},
           {{"--exercise", "uts"}, 2, help},
           {{"--exercise", "nonsense", "sh"}, 2, help},
           {{"--all", "/nonexistent"}, 2, help},
           {{"--all", "/tmp", "sh"}, 2, help},
           {{"/nonexistent"}, 2, help},
           {{"/etc/passwd"}, 2, help},
           {{"cat"}, 1, full, FillStdout},
           {{"--json", "cat"}, 1, full, FillStdout},
           {sh, 77, nobody("user.max_uts_namespaces is 0"),
            Forbid(CLONE_NEWUTS)},
           {sh, 77, "user.max_user_namespaces is 0", ForbidUserNamespaces},
           {sh, 77, "seccomp",
            [] {
              FilterCalls({{SYS_mount, EPERM}});
            }},
           {sh, 77, nobody("/proc is masked"), CoverPartOfProc},
           {sh, 77, "/proc belongs to another PID namespace", CoverProc}}) {
    // AddressSanitizer itself needs a /proc.
    if (kSanitized && says.starts_with("/proc belongs")) continue;
    SCOPED_TRACE(testing::PrintToString(words) + says);
    const Result result = Try(words, before);
    ExpectExit(result, status, "",
               AllOf(HasSubstr("check: "), HasSubstr(says)));
    if (status != 77) continue;
    EXPECT_THAT(result.errors, HasSubstr("\n  remedy: "));
    const json refused = json::parse(Try({"--json", "sh"}, before).output);
    EXPECT_THAT(refused["cause"], HasSubstr(says));
  }
}

TEST_P(CheckTest, LocksTheReadersFilesAndItsOwnProcesses) {
  const json document = XRay(
      "touch /usr/x; mount -o remount,bind,rw /usr 2>&- && echo remounted; "
      "touch /usr/x; umount /usr 2>&- && echo unmounted; "
      "cat /proc/1/environ 2>&- && echo environment; "
      "ls /proc/1/fd/ 2>&- && echo descriptors; "
      "echo >/proc/1/mem && echo memory; readlink /proc/1/exe; cat");
  const auto refused = AllOf(HasSubstr("touch"), HasSubstr("Read-only"));
  EXPECT_THAT(document["output"],
              ElementsAre(refused, refused, HasSubstr("cannot create")));
}

TEST_P(CheckTest, IsLookedAtWhenItIsAtRestAndNotBefore) {
  // Each part of a second is slept away, and what comes after is still seen.
  const json document = XRay(
      "unshare --uts sh -c 'sleep 0.3; (sleep 0.3; true) | cat; "
      "perl -e \"select undef, undef, undef, 0.3\"; hostname late; cat'");
  EXPECT_EQ(Line(document, "hostname")["inside"], "late");
}

// A block of text in the page, behind the arguments with which it is printed.
TEST_P(CheckTest, PrintsWhatItsPageShows) {
  const std::string page = ReadFile("docs/check.md");
  // Where nobody may read it, too.
  const std::string home = directory_.path();
  fs::create_directory(home + "/lessons");
  fs::copy(kExercises, home + "/" + kExercises, fs::copy_options::recursive);
  const std::regex block(
      "<!-- check( [0-9])?: ([^\n]+) -->\n```text\n([^`]*(`[^`]+)*?)```\n");
  int blocks = 0;
  for (std::sregex_iterator each(page.begin(), page.end(), block), end;
       each != end; ++each, ++blocks) {
    const std::string shown = each->str(3);
    if (as_nobody() && shown.find(", as root.") != shown.npos) continue;
    const Words arguments = Matches((*each)[2], "(\\S+)");
    const Result result = RunCommand(Lesson(arguments, [home] {
      setenv("BUILD_WORKING_DIRECTORY", home.c_str(), 1);
    }));
    const auto timeless = [](const std::string& text) {
      return std::regex_replace(text, std::regex("Linux [^,]+|[0-9]{3,}"), "N");
    };
    EXPECT_THAT(timeless(result.output), HasSubstr(timeless(shown)));
  }
  EXPECT_EQ(blocks, 3);
}

}  // namespace
}  // namespace steps
