// What check says of any program: what it isolates, leaks and gets wrong.

#include "tests/support/lessons.h"

namespace steps {
namespace {

class CheckTest : public LessonTest {
 protected:
  json XRay(const std::string& script) const {
    const Result result = Try({"--json", "sh", "-c", script});
    json document = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(document, "check.schema.json"), "");
    EXPECT_EQ(DescribeStatus(result.status),
              document["mistakes"].empty() ? "exit status 0" : "exit status 1")
        << result.errors;
    return document;
  }

  static json Line(const json& document, const std::string& what) {
    for (const json& line : document["evidence"]) {
      if (line["what"] == what) return line;
    }
    ADD_FAILURE() << "no " << what << " in " << document.dump(2);
    return {};
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

TEST_P(CheckTest, ChecksAllOfADirectory) {
  const TemporaryDirectory directory;
  fs::copy("lessons/exercises/solutions/uts.cc", directory.path());
  fs::copy("lessons/exercises/pid.cc", directory.path());
  directory.Put("ipc.cc", "int main() { return x; }\n");
  directory.Put("user.sh",
                "#!/bin/sh\nexec unshare --user --map-root-user sh\n");
  directory.Put("init", "not executable\n", 0644);
  const Result result = Run({"--all", directory.path()}, {}, 1);
  const json document =
      json::parse(Try({"--all", directory.path(), "--json"}).output);
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
  const std::regex block(
      "<!-- check( [0-9])?: ([^\n]+) -->\n```text\n([^`]*(`[^`]+)*?)```\n");
  int blocks = 0;
  for (std::sregex_iterator each(page.begin(), page.end(), block), end;
       each != end; ++each, ++blocks) {
    const std::string shown = each->str(3);
    if (as_nobody() && shown.find(", as root.") != shown.npos) continue;
    const Words arguments = Matches((*each)[2], "(\\S+)");
    const Result result =
        RunCommand(Lesson(arguments, [home = fs::current_path()] {
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
