#include "common/program/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/program/command_line.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::_;
using testing::AllOf;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

using Teach = std::function<void(Lesson&)>;
using Words = std::vector<std::string>;
using Before = std::function<void()>;
using Text = testing::Matcher<const std::string&>;

const About kAbout = {"example", "Example: a lesson", "namespaces(7)"};
const Probe kPid{"PID", "getpid(2)", [] { return fmt::to_string(getpid()); }};

void Nothing() {}

// Words as they are typed; '' is an empty one.
Words Split(const std::string& text) {
  Words words;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    words.push_back(word == "''" ? "" : word);
  }
  return words;
}

const Text kTry = EndsWith("\nTry: bazel run //lessons:example -- --help\n");

void Holds(Lesson& lesson) { lesson.Claim("Yes.", true); }

void Fails(Lesson&) { throw CallError(EBADF, "close(-1)"); }

void IsRefused(Lesson&) {
  throw CallError({.text = "unshare(CLONE_NEWUSER)",
                   .namespaces = CLONE_NEWUSER,
                   .result = -1,
                   .error = ENOSPC});
}

// A lesson with a step before it has an inside, and one behind.
void HasInside(Lesson& lesson) {
  lesson.Step("One");
  Process inside = lesson.outside().Clone("inside", CLONE_NEWUTS);
  inside.Ask(kPid);
  lesson.Keep(std::move(inside));
  lesson.Step("Two");
  lesson.Claim("Yes.", true);
}

// The command that runs `teach` as a lesson's main() would.
Command LessonCommand(const Teach& teach, const Words& arguments = {},
                      const Before& before = Nothing,
                      const std::optional<Task>& task = std::nullopt,
                      const About& about = kAbout) {
  return {.function = [=] {
    before();
    Words argv = {"example"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunLesson(about, teach, static_cast<int>(argv.size()),
                     ExecArguments(argv).data(), task);
  }};
}

Result RunIt(const Teach& teach, const Words& arguments = {},
             const Before& before = Nothing) {
  return RunCommand(LessonCommand(teach, arguments, before));
}

// What takes the place of a standard stream: "/dev/full", or nothing.
Before Replace(const Words& files, int first = STDOUT_FILENO) {
  return [=] {
    for (int fd = first; const std::string& file : files) {
      if (file.empty()) {
        close(fd++);
      } else {
        Check(dup2(open(file.c_str(), O_WRONLY), fd++), "dup2()");
      }
    }
  };
}

// A program that passes for Graphviz.
Before FakeDot(const std::string& script) {
  return [=] {
    std::string directory = testing::TempDir() + "/dot.XXXXXX";
    Check(mkdtemp(directory.data()) == nullptr ? -1 : 0, "mkdtemp()");
    WriteAll(Open(directory + "/dot", O_WRONLY | O_CREAT, 0755).get(),
             "#!/bin/sh\n" + script + "\n");
    setenv("PATH", (directory + ":/usr/bin:/bin").c_str(), 1);
  };
}

// stdout is a pipe that nobody reads any more, as behind `| head -1`.
void BreakPipe() {
  std::array<int, 2> ends = {};
  Check(pipe2(ends.data(), O_CLOEXEC), "pipe2()");
  Check(dup2(ends[1], STDOUT_FILENO), "dup2()");
  close(ends[0]);
}

void ExpectExit(const Result& result, int status, const Text& output = _,
                const Text& errors = _) {
  EXPECT_EQ(ExitStatus(result.status), status)
      << result.errors << result.output;
  EXPECT_THAT(result.output, output);
  EXPECT_THAT(result.errors, errors);
}

void IsContradicted(Lesson& lesson) {
  lesson.Claim("Yes.", true);
  lesson.Claim("No.", false);
  kill(getpid(), SIGKILL);  // What follows may rest on it.
}

// Lessons that end as the process does that they have cloned.
template <typename Body>
Teach WithInside(Body body) {
  return [body](Lesson& lesson) {
    Process inside = lesson.outside().Clone("inside", 0);
    inside.Run([&lesson, body] { body(lesson); }, milliseconds(1000));
  };
}

TEST(RunLesson, EndsAsItsStoryDoes) {
  struct Case {
    Teach teach;
    int status;
    std::string claims;  // What is shown of them,
    std::string errors;  // and all that stands on stderr.
  };
  for (const Case& each : std::vector<Case>{
           {Holds, 0, "     holds    Yes.\n1 of 1 claims hold.\n", ""},
           {IsContradicted, 1, "     FAILS    No.\n1 of 2 claims hold.\n", ""},
           {Fails, 1, "", "example: close(-1): Bad file descriptor (EBADF)\n"},
           {WithInside([](Lesson& lesson) { lesson.Claim("Yes.", true); }), 1,
            "",
            "example: inside: told in a child: only the lesson itself may\n"},
           {WithInside([](Lesson&) { raise(SIGKILL); }), 1, "",
            "example: inside was killed by SIGKILL\n"},
           {WithInside([](Lesson&) { _exit(9); }), 1, "",
            "example: inside ended early: exit status 9\n"},
           {WithInside([](Lesson&) { pause(); }), 1, "",
            "example: inside has given no answer for 1 s\n"}}) {
    const Result result = RunIt(each.teach);
    ExpectExit(
        result, each.status,
        AllOf(StartsWith("Example: a lesson "),
              HasSubstr("namespaces(7)\nLinux "), HasSubstr(each.claims)),
        each.errors);
    EXPECT_EQ(result.output.find("hold") != std::string::npos,
              !each.claims.empty());
  }
  EXPECT_THAT(RunIt(Holds).output,
              EndsWith("Look around inside: bazel run //lessons:example -- "
                       "--shell\n"));
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunLesson, ExitsWith77WhenTheMachineDoesNotAllowIt) {
  const Result result = RunIt(IsRefused);
  ExpectExit(
      result, 77, _,
      MatchesRegex("example: unshare\\(CLONE_NEWUSER\\): No space left on "
                   "device \\(ENOSPC\\)\n  cause   .+\n  remedy  .+\n"));
  const Result document = RunIt(IsRefused, {"--json"});
  ExpectExit(document, 77);
  EXPECT_EQ(json::parse(document.output)["verdict"], "cannot run");
  ExpectExit(
      RunIt(IsRefused, {"--markdown"}), 77,
      AllOf(HasSubstr("\n- **cannot run** unshare(CLONE_NEWUSER): No space "
                      "left on device (ENOSPC)\n\n- **cause** "),
            HasSubstr("\n- **remedy** ")),
      result.errors);
}

TEST(RunLesson, ExitsWith77WhereProcIsThatOfAnotherPidNamespace) {
  for (const char* form : {"--color=never", "--json"}) {
    const Result result = RunCommand({.function = [form] {
      Process inside =
          Process::Quiet().Clone("inside", CLONE_NEWUSER | CLONE_NEWPID);
      inside.Run([form] { _exit(LessonCommand(Holds, {form}).function()); });
      return EXIT_SUCCESS;
    }});
    EXPECT_THAT(result.errors,
                MatchesRegex("example: /proc does not know this process by its "
                             "PID\n  cause   .+\n  remedy  .+\n"
                             "inside ended early: exit status 77\n"));
    const bool is_json =
        result.output.find("\"verdict\": \"cannot run\"") != std::string::npos;
    EXPECT_EQ(is_json, form == std::string("--json"));
  }
}

// The last is for a terminal.
constexpr const char* kWrong = R"(
  --nonsense| extra| --color| --color=blue| --auto| --auto -1| --auto soon|
  --auto nan| --auto 0,5| --auto ''| --save ''| --save /nonexistent/file|
  --cast ''| --cast /nonexistent/file| --json --shell| --json --step|
  --json --auto 1| --markdown --json| --markdown --step| --markdown --auto 0|
  --markdown --shell| --dot --svg| --dot --json| --svg --json| --dot --shell|
  --svg --shell| --dot --auto 1| --svg --step| --step)";

TEST(RunLesson, ExitsWith2WhenItIsCalledWrongly) {
  std::istringstream all(kWrong);
  for (std::string wrong; std::getline(all, wrong, '|');) {
    SCOPED_TRACE(wrong);
    ExpectExit(RunIt(Holds, Split(wrong)), 2, IsEmpty(),
               AllOf(StartsWith("example: "), kTry));
  }
}

TEST(RunLesson, HelpsWithExamplesFirst) {
  const Result result = RunIt(Holds, {"--help"});
  ExpectExit(result, 0);
  EXPECT_LT(result.output.find("bazel run //lessons:example -- --shell"),
            result.output.find("Usage:"));
  for (const char* option :
       {"--step", "--auto", "--code", "--shell", "--json", "--markdown",
        "--save", "--cast", "--color", "--version", "130"}) {
    EXPECT_THAT(result.output, HasSubstr(option));
  }
  EXPECT_THAT(RunIt(Holds, {"--version"}).output,
              MatchesRegex("example [0-9.]+ \\(Namespaces, step by step\\)\n"));
}

TEST(RunLesson, PrintsNothingButTheFormThatIsAskedFor) {
  const Result document = RunIt(Holds, {"--json"});
  EXPECT_EQ(json::parse(document.output)["lesson"], "example");
  EXPECT_EQ(json::parse(document.output)["verdict"], "holds");
  const Result markdown = RunIt(Holds, {"--markdown", "--color=always"});
  EXPECT_THAT(markdown.output,
              AllOf(StartsWith("# Example: a lesson\n\nnamespaces(7). Linux "),
                    EndsWith("\n- **holds** Yes.\n\n"
                             "**1 of 1 claims hold.**\n\n"
                             "Look around inside:\n\n```sh\n"
                             "bazel run //lessons:example -- --shell\n```\n"),
                    Not(HasSubstr("\x1b"))));
  const Result graph = RunIt(HasInside, {"--dot"});
  EXPECT_THAT(graph.output,
              AllOf(StartsWith("graph lesson {"), HasSubstr("<B>before</B>"),
                    HasSubstr("<B>after</B>")));
  for (const Result& result : {document, markdown, graph}) {
    ExpectExit(result, 0);
    EXPECT_THAT(result.errors, IsEmpty());
  }
  ExpectExit(RunIt(Fails, {"--dot"}), 1, IsEmpty(), HasSubstr("close(-1)"));
}

TEST(RunLesson, LooksForGraphvizBeforeTheLessonRuns) {
  const Teach never = [](Lesson&) { throw std::logic_error("it has run"); };
  ExpectExit(RunIt(never, {"--svg"}, [] { setenv("PATH", "/nonexistent", 1); }),
             77, IsEmpty(),
             "example: execvp(\"dot\"): No such file or directory (ENOENT)\n"
             "  cause   Graphviz, which draws, is not installed.\n"
             "  remedy  " +
                 std::string(IsRoot() ? "" : "sudo ") +
                 "apt-get install graphviz\n");
  ExpectExit(RunIt(never, {"--svg"}, FakeDot("exit 3")), 1, IsEmpty(),
             "example: dot -Tsvg failed\n");
}

TEST(RunLesson, HandsTheGraphToDotAndToNobodyElse) {
  const Teach teach = [](Lesson& lesson) {
    HasInside(lesson);
    const std::string open = RunTool({"ls", "-l", "/proc/self/fd"});
    lesson.Claim("Not here.", open.find("memfd:graph") == std::string::npos);
  };
  ExpectExit(
      RunIt(teach, {"--svg"}, FakeDot("ls -l /proc/self/fd; cat $2")), 0,
      AllOf(HasSubstr("\ngraph lesson {"), Not(HasSubstr("memfd:graph"))),
      IsEmpty());
}

// A file, and its path for --save and --cast.
class Saved {
 public:
  Saved() : file_(Check(memfd_create("saved", 0), "memfd_create()")) {}
  std::string path() const {
    return fmt::format("/proc/self/fd/{}", file_.get());
  }
  std::string Read() const { return ReadFile(path()); }

 private:
  Descriptor file_;
};

TEST(RunLesson, SavesDocumentsBesideWhatItShows) {
  for (const Words& shown :
       std::vector<Words>{{}, {"--markdown"}, {"--auto", "0"}}) {
    const Saved saved;
    const Saved cast;
    Words arguments = {"--save", saved.path(), "--cast", cast.path()};
    arguments.insert(arguments.end(), shown.begin(), shown.end());
    EXPECT_EQ(RunIt(Holds, arguments).output, RunIt(Holds, shown).output);
    EXPECT_EQ(saved.Read(), RunIt(Holds, {"--json"}).output);
    EXPECT_THAT(cast.Read(), HasSubstr(kAbout.title));
  }
  const Saved saved;
  RunIt(Fails, {"--save", saved.path()});
  EXPECT_EQ(json::parse(saved.Read())["verdict"], "failed");
}

TEST(RunLesson, EntersAUserNamespaceOnlyWhereItNeedsRootAndSaysSo) {
  for (const bool needs_root : {true, false}) {
    About about = kAbout;
    if (!needs_root) about.needs.clear();
    const auto teach = [needs_root](Lesson& lesson) {
      lesson.Claim("Root.", (geteuid() == 0) == needs_root);
    };
    const auto run = [&](const Words& arguments) {
      return RunCommand(LessonCommand(
          teach, arguments,
          [] {
            if (IsRoot()) BecomeNobody();
          },
          std::nullopt, about));
    };
    const json document = json::parse(run({"--json"}).output);
    EXPECT_EQ(document["verdict"], "holds");
    EXPECT_EQ(document["privilege"], needs_root ? "user namespace" : "none");
    const bool says_so = run({}).output.find("root in a new user namespace") !=
                         std::string::npos;
    EXPECT_EQ(says_so, needs_root);
  }
}

// A lesson that has a task as well: it shows the reader's words.
Result RunTask(const Words& arguments, bool runs_command = false,
               const Before& before = Nothing) {
  const Task task = {.words = "WORD…",
                     .help = "show the words",
                     .example = "one two",
                     .runs_command = runs_command,
                     .run = [](Lesson& lesson, const Words& words) {
                       if (words[0] == "bad") throw UsageError("a bad word");
                       Table table = {{"word"}, {}};
                       for (const auto& word : words) {
                         table.rows.push_back({word});
                       }
                       lesson.Show(table);
                       return 5;
                     }};
  return RunCommand(LessonCommand(Holds, arguments, before, task));
}

TEST(RunLesson, HasATaskForTheReadersWords) {
  const Result result = RunTask({"one"});
  ExpectExit(result, 5);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\n  word\n  one\n"), Not(HasSubstr("hold"))));
  EXPECT_THAT(RunTask({}).output, HasSubstr("1 of 1 claims hold."));
  EXPECT_THAT(RunTask({"--help"}).output,
              ContainsRegex("//lessons:example -- one two +show the words\n"));
  EXPECT_EQ(
      json::parse(RunTask({"--json", "one"}).output)["tables"][0]["rows"][0][0],
      "one");
}

TEST(RunLesson, LeavesItsOptionsAndStdoutToACommand) {
  ExpectExit(RunTask({"one", "--json", "-x"}, true), 5, IsEmpty(),
             HasSubstr("\n  one\n  --json\n  -x\n"));
}

TEST(RunLesson, RefusesWordsThatItCannotUse) {
  for (const auto& [words, error] : std::map<std::string, std::string>{
           {"bad", "a bad word"},
           {"--nonsense", "there is no option --nonsense"},
           {"--shell one", "--shell takes no WORD…"},
           {"--step one", "--step takes no WORD…"},
           {"--code one", "--code takes no WORD…"},
           {"--auto 1 one", "--auto takes no WORD…"},
           {"--json one", "--json takes no WORD…"},
           {"--cast /dev/null one", "--cast takes no WORD…"},
           {"--svg one", "--svg takes no WORD…"}}) {
    ExpectExit(RunTask(Split(words), true), 2, _,
               AllOf(HasSubstr("example: " + error + "\n"), kTry));
  }
}

TEST(RunLesson, ExitsWith130WhenItIsInterrupted) {
  const Result result = RunIt([](Lesson& lesson) {
    Process inside = lesson.outside().Clone("inside", 0);
    inside.Ask(kPid);
    kill(getpid(), SIGINT);
    pause();
  });
  ExpectExit(result, 130, _, "\ninterrupted\n");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunLesson, NeverReportsAFailedWriteAsSuccess) {
  const Text full = HasSubstr("No space left on device");
  for (const char* form :
       {"", "--json", "--markdown", "--dot", "--help", "--version"}) {
    ExpectExit(RunIt(HasInside, Split(form), Replace({"/dev/full"})), 1, _,
               full);
  }
  for (const char* option : {"--save", "--cast"}) {
    ExpectExit(RunIt(Holds, {option, "/dev/full"}), 1, _, full);
  }
  ExpectExit(RunIt(Holds, {}, Replace({""})), 1, _,
             HasSubstr("Bad file descriptor"));
  // Wrong usage stays that.
  ExpectExit(RunIt(Holds, {"--nonsense"}, Replace({""})), 2);
}

// Nor is the status another one where nobody can be told of it.
TEST(RunLesson, KeepsItsStatusWhereStderrCannotBeWritten) {
  for (const std::string stderr_file : {"/dev/full", ""}) {
    const Before replace = Replace({stderr_file}, STDERR_FILENO);
    SCOPED_TRACE(stderr_file);
    ExpectExit(RunIt(Holds, {}, replace), 0);
    ExpectExit(RunIt(Fails, {}, replace), 1);
    ExpectExit(RunIt(Holds, {"--nonsense"}, replace), 2);
    ExpectExit(RunTask({"bad"}, false, replace), 2);
    ExpectExit(RunIt(IsRefused, {}, replace), 77);
    ExpectExit(RunIt([](Lesson&) { kill(getpid(), SIGINT); }, {}, replace),
               130);
    // What takes the place of a closed stderr must not become stdout.
    for (const std::string stdout_file : {"/dev/full", ""}) {
      ExpectExit(RunIt(Holds, {}, Replace({stdout_file, stderr_file})), 1);
    }
  }
  ExpectExit(RunTask({"one"}, true, Replace({"/dev/full"}, STDERR_FILENO)), 1);
}

TEST(RunLesson, RunsWithoutStdin) {
  ExpectExit(RunIt(Holds, {}, Replace({""}, STDIN_FILENO)), 0);
}

TEST(RunLesson, EndsQuietlyWhenNobodyReads) {
  ExpectExit(RunIt(Holds, {}, BreakPipe), 128 + SIGPIPE, _, IsEmpty());
  const auto ignore = [] {
    signal(SIGPIPE, SIG_IGN);
    BreakPipe();
  };
  ExpectExit(RunIt(Holds, {}, ignore), 1, _, IsEmpty());
}

TEST(RunLesson, StopsAtEachStepWhereItIsAskedTo) {
  // A long prompt would not be shown whole.
  Terminal terminal(LessonCommand(HasInside, {"--step", "--color=never"}, [] {
    setenv("BUILD_WORKING_DIRECTORY", "/", 1);
  }));
  terminal.ReadTo("1  One\r\n[Enter: run this step   q Enter: quit]");
  terminal.Type("\n");
  terminal.ReadTo("2  Two\r\n[Enter: run this step   s Enter: a shell inside");
  terminal.Type("s\n");
  terminal.ReadTo("[inside example] ");
  terminal.Type("exit\n");
  terminal.ReadTo("q Enter: quit]");
  terminal.Type("\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(), HasSubstr("1 of 1 claims hold."));
}

TEST(RunLesson, ExitsWith130WhenTheReaderLeaves) {
  for (const char* keys : {"q\n", "\x03", "\x04"}) {
    Terminal terminal(LessonCommand(HasInside, {"--step", "--color=never"}));
    terminal.ReadTo("q Enter: quit]");
    terminal.Type("\n");
    terminal.ReadTo("q Enter: quit]");
    terminal.Type(keys);
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("hold")));
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

TEST(RunLesson, IsCalledByItsNameInPsAndStandsWhereTheReaderTypedIt) {
  const Result result = RunIt(
      [](Lesson& lesson) {
        lesson.Claim("Named.", ReadFile("/proc/self/comm") == "example\n");
        lesson.Claim("Here.", std::filesystem::current_path() == "/usr");
      },
      {}, [] { setenv("BUILD_WORKING_DIRECTORY", "/usr", 1); });
  ExpectExit(result, 0);
}

TEST(RunLesson, HasNoColorWhereItIsNotOnATerminal) {
  EXPECT_THAT(RunIt(Holds).output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(RunIt(Holds, {"--color=never"}).output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(RunIt(Holds, {"--color=always"}).output, HasSubstr("\x1b["));
}

}  // namespace
}  // namespace steps
