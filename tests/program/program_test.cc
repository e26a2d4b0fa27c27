#include "common/program/program.h"

#include <array>

#include "tests/support/test.h"

namespace steps {
namespace {

using Teach = std::function<void(Lesson&)>;

const About kAbout = {"example", "Example: a lesson", "namespaces(7)"};

const Text kFull = HasSubstr("No space left on device");
const Text kUsage =
    AllOf(StartsWith("example: "),
          EndsWith("\nTry: bazel run //lessons:example -- --help\n"));

void Holds(Lesson& lesson) { lesson.Claim("Yes.", true); }

void Fails(Lesson&) { throw CallError(EBADF, "close(-1)"); }

void IsRefused(Lesson&) { throw CallError(ENOSPC, "unshare(CLONE_NEWUSER)"); }

void IsContradicted(Lesson& lesson) {
  lesson.Claim("Yes.", true);
  lesson.Claim("No.", false);
  kill(getpid(), SIGKILL);  // What follows may rest on it.
}

void NeverRuns(Lesson&) { throw std::logic_error("it has run"); }

// A lesson with a step before it has an inside, and one behind.
void HasInside(Lesson& lesson) {
  lesson.Step("One");
  Process inside = lesson.outside().Clone("inside", CLONE_NEWUTS);
  lesson.Keep(std::move(inside));
  lesson.Step("Two");
  lesson.Claim("Yes.", true);
}

void IsInterrupted(Lesson& lesson) {
  Process inside = lesson.outside().Clone("inside", 0);
  kill(getpid(), SIGINT);
  pause();
}

void KeepsTheGraphToItself(Lesson& lesson) {
  HasInside(lesson);
  const std::string fds = RunTool({"ls", "-l", "/proc/self/fd"});
  lesson.Claim("Not here.", fds.find("memfd:graph") == std::string::npos);
}

void IsNamedAndStandsInUsr(Lesson& lesson) {
  lesson.Claim("Named.", ReadFile("/proc/self/comm") == "example\n");
  lesson.Claim("Here.", fs::current_path() == "/usr");
}

void IsToldInAChild(Lesson& lesson) {
  Process inside = lesson.outside().Clone("inside", 0);
  inside.Run([&lesson] { Holds(lesson); });
}

// A task for the words of the reader: it shows them.
Task MakeTask(bool runs_command) {
  return {.words = "WORD…",
          .help = "show the words",
          .example = "one two",
          .runs_command = runs_command,
          .run = [](Lesson& lesson, const Words& words) {
            Table table = {{"word"}, {}};
            for (const auto& word : words) table.rows.push_back({word});
            lesson.Show(table);
            return 5;
          }};
}

// A run of a lesson, and how it ends.
struct Case {
  std::string name;
  Teach teach;
  std::string words = "";
  int status = 0;
  Text output = _;
  Text errors = IsEmpty();
  Before before = [] {};
  std::optional<Task> task = MakeTask(false);
};

// The command that runs it as a lesson's main() would.
Command CommandOf(const Case& run) {
  return {.function = [=] {
    run.before();
    Words argv = Matches("example " + run.words, "(\\S+)");
    std::ranges::replace(argv, "''", "");  // As it is typed, an empty word.
    return RunLesson(kAbout, run.teach, static_cast<int>(argv.size()),
                     ExecArguments(argv).data(), run.task);
  }};
}

// A standard stream becomes "/dev/full", or "closed"; with "" it stays.
void Replace(int fd, const std::string& file) {
  if (file == "closed") close(fd);
  if (file == "/dev/full") MUST(dup2, Open(file, O_WRONLY).get(), fd);
}

// A program that passes for Graphviz, and goes with the lesson.
Before FakeDot(const std::string& script) {
  return [=] {
    EnterPrivateMounts();
    MountTmpfs("/mnt");
    WriteAll(Open("/mnt/dot", O_WRONLY | O_CREAT, 0755).get(),
             "#!/bin/sh\n" + script + "\n");
    setenv("PATH", "/mnt:/usr/bin:/bin", 1);
  };
}

const Text kOpening =
    AllOf(StartsWith("Example: a lesson "), HasSubstr("namespaces(7)\nLinux "));
const Text kTellsNothing = AllOf(kOpening, Not(HasSubstr("hold")));

const Text kRefusal = MatchesRegex(
    "example: unshare\\(CLONE_NEWUSER\\): No space left on device "
    "\\(ENOSPC\\)\n  cause   .+\n  remedy  .+\n");
const Text kForeignProc = MatchesRegex(
    "example: /proc does not know this process by its PID\n"
    "  cause   /proc belongs to another PID namespace.+\n  remedy  .+\n");

const std::vector<Case> kCases = {
    // How its story ends.
    {"Holds", Holds, "", 0,
     AllOf(kOpening, HasSubstr("     holds    Yes.\n1 of 1 claims hold.\n"),
           EndsWith(
               "Look around inside: bazel run //lessons:example -- --shell\n"),
           Not(HasSubstr("\x1b")))},
    {"IsContradicted", IsContradicted, "", 1,
     AllOf(kOpening, HasSubstr("     FAILS    No.\n1 of 2 claims hold.\n"))},
    {"IsContradictedInJson", IsContradicted, "--json", 1,
     HasSubstr("\"verdict\": \"contradicted\"")},
    {"Fails", Fails, "", 1, kTellsNothing,
     "example: close(-1): Bad file descriptor (EBADF)\n"},
    {"IsToldInAChild", IsToldInAChild, "", 1, kTellsNothing,
     "example: inside: told in a child: only the lesson itself may\n"},
    {"IsInterrupted", IsInterrupted, "", 130, kTellsNothing, "\ninterrupted\n"},
    {"IsRefused", IsRefused, "", 77, kTellsNothing, kRefusal},
    {"IsRefusedInJson", IsRefused, "--json", 77,
     HasSubstr("\"verdict\": \"cannot run\""), kRefusal},

    // The form that is asked for, and nothing else.
    {"Json", Holds, "--json", 0,
     AllOf(StartsWith("{"), HasSubstr("\"lesson\": \"example\""),
           HasSubstr("\"verdict\": \"holds\""))},
    {"Markdown", Holds, "--markdown --color=always", 0,
     AllOf(StartsWith("# Example: a lesson\n\n"),
           EndsWith("\nbazel run //lessons:example -- --shell\n```\n"),
           Not(HasSubstr("\x1b")))},
    {"Color", Holds, "--color=always", 0, HasSubstr("\x1b[")},
    {"DotOfFailure", Fails, "--dot", 1, IsEmpty(), HasSubstr("close(-1)")},
    {"SvgWithoutGraphviz", NeverRuns, "--svg", 77, IsEmpty(),
     HasSubstr("\n  cause   Graphviz, which draws, is not installed.\n"),
     [] { setenv("PATH", "/nonexistent", 1); }},
    {"SvgThatFails", NeverRuns, "--svg", 1, IsEmpty(),
     "example: dot -Tsvg failed\n", FakeDot("exit 3")},
    {"SvgOfAGraphThatNobodyElseGets", KeepsTheGraphToItself, "--svg", 0,
     AllOf(HasSubstr("\nstrict graph lesson {"), Not(HasSubstr("memfd:graph"))),
     IsEmpty(), FakeDot("ls -l /proc/self/fd; cat $2")},
    {"SavedOnAFullDisk", Holds, "--save /dev/full", 1, _, kFull},
    {"RecordedOnAFullDisk", Holds, "--cast /dev/full", 1, _, kFull},
    {"Help", NeverRuns, "--help", 0,
     ContainsRegex(
         "\n +bazel run //lessons:example -- --shell (.|\n)*//lessons:example "
         "-- one two +show the words\n(.|\n)*\nUsage: "
         "(.|\n)*--step (.|\n)*--auto (.|\n)*--code (.|\n)*--shell "
         "(.|\n)*--json (.|\n)*--markdown (.|\n)*--save "
         "(.|\n)*--cast (.|\n)*--color (.|\n)*130")},
    {"Version", NeverRuns, "--version", 0,
     MatchesRegex("example [0-9.]+ \\(Namespaces, step by step\\)\n")},

    // Where it runs, and as whom.
    {"IsNamed", IsNamedAndStandsInUsr, "", 0, _, IsEmpty(),
     [] { setenv("BUILD_WORKING_DIRECTORY", "/usr", 1); }},
    {"RunsWithoutStdin", Holds, "", 0, _, IsEmpty(),
     [] { close(STDIN_FILENO); }},
    {"ProcIsThatOfOthers", NeverRuns, "", 77, kOpening, kForeignProc,
     CoverProc},

    // A task for the reader's words.
    {"Task", Holds, "one", 5,
     AllOf(HasSubstr("\n  word\n  one\n"), Not(HasSubstr("hold")))},
    {"ProcIsThatOfOthersInATask", NeverRuns, "one", 77, kOpening, kForeignProc,
     CoverProc},
};

class RunLessonTest : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Where, RunLessonTest, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

// A failed write is never success; a closed stderr changes no status.
TEST_P(RunLessonTest, EndsAsItShouldAndSoWhereNothingCanBeWritten) {
  const Result result = RunCommand(CommandOf(GetParam()));
  ExpectExit(result, GetParam().status, GetParam().output, GetParam().errors);
  for (const std::string out : {"", "/dev/full", "closed"}) {
    for (const std::string err : {"", "/dev/full", "closed"}) {
      SCOPED_TRACE(fmt::format("stdout: {}, stderr: {}", out, err));
      Case replaced = GetParam();
      replaced.before = [&] {
        GetParam().before();
        Replace(STDOUT_FILENO, out);
        Replace(STDERR_FILENO, err);
      };
      const bool fails = !out.empty() && !result.output.empty();
      const Text told = HasSubstr(out == "closed" ? "Bad file descriptor"
                                                  : "No space left on device");
      ExpectExit(RunCommand(CommandOf(replaced)), fails ? 1 : GetParam().status,
                 _, fails && err.empty() ? told : _);
    }
  }
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunLesson, WritesOneDocumentWhereAnotherCannotBeSaved) {
  ExpectExit(RunCommand(CommandOf({"", Holds, "--json --save /dev/full"})), 1,
             Not(HasSubstr("\"failed\"")), kFull);
}

TEST(RunLesson, LeavesItsOptionsAndStdoutToACommand) {
  Case run = {"", Holds, "one --json -x", 5};
  run.task = MakeTask(true);
  ExpectExit(RunCommand(CommandOf(run)), 5, IsEmpty(),
             HasSubstr("\n  one\n  --json\n  -x\n"));
  run.before = [] { Replace(STDERR_FILENO, "/dev/full"); };
  ExpectExit(RunCommand(CommandOf(run)), 1);
}

// The words "one" are a command of the reader's, which takes none of the
// options before. --step alone is for a terminal.
constexpr const char* kWrong = R"(
  --nonsense| extra| --color| --color=blue| --auto| --auto -1| --auto soon|
  --auto 0,5| --auto nan| --auto ''| --save ''| --save /nonexistent/file|
  --cast ''| --cast /nonexistent/file| --json --shell| --json --step|
  --json --auto 1| --markdown --json| --markdown --step| --markdown --auto 0|
  --markdown --shell| --dot --svg| --dot --json| --svg --json| --dot --shell|
  --svg --shell| --dot --auto 1| --svg --step| --step| --shell one| --step one|
  --code one| --auto 1 one| --json one| --cast /dev/null one| --svg one)";

TEST(RunLesson, ExitsWith2WhenItIsCalledWrongly) {
  std::istringstream all(kWrong);
  for (std::string wrong; std::getline(all, wrong, '|');) {
    SCOPED_TRACE(wrong);
    const bool has_command = wrong.ends_with(" one");
    Case run = {"", NeverRuns, wrong};
    run.task = has_command ? std::optional(MakeTask(true)) : std::nullopt;
    const Text why = has_command ? Text(HasSubstr(" takes no WORD…\n")) : _;
    ExpectExit(RunCommand(CommandOf(run)), 2, IsEmpty(), AllOf(kUsage, why));
  }
}

TEST(RunLesson, SavesDocumentsBesideWhatItShows) {
  for (const Teach& teach : {Teach(Holds), Teach(Fails)}) {
    for (const std::string shown : {"", "--markdown", "--auto 0"}) {
      const TemporaryDirectory directory;
      const std::string saved = directory.path() + "/saved";
      const std::string cast = directory.path() + "/cast";
      Case run = {"", teach,
                  fmt::format("--save {} --cast {} {}", saved, cast, shown)};
      // No file takes the place of a closed stderr, and gets its words.
      run.before = [] { close(STDERR_FILENO); };
      const Result result = RunCommand(CommandOf(run));
      EXPECT_EQ(result.output,
                RunCommand(CommandOf({"", teach, shown})).output);
      EXPECT_EQ(ReadFile(saved),
                RunCommand(CommandOf({"", teach, "--json"})).output);
      EXPECT_THAT(ReadFile(cast), HasSubstr(kAbout.title));
    }
  }
}

TEST(RunLesson, EndsWithoutSuccessWhenNobodyReads) {
  // stdout is a pipe that nobody reads any more, as behind `| head -1`.
  for (const auto& [handler, status] :
       {std::pair(SIG_DFL, 128 + SIGPIPE), {SIG_IGN, 1}}) {
    Case run = {"", Holds, "", status};
    run.before = [sigpipe = handler] {
      std::array<int, 2> ends = {};
      MUST(pipe2, ends.data(), O_CLOEXEC);
      MUST(dup2, ends[1], STDOUT_FILENO);
      close(ends[0]);
      std::signal(SIGPIPE, sigpipe);
    };
    const Text told = status == 1 ? Text(HasSubstr("Broken pipe")) : IsEmpty();
    ExpectExit(RunCommand(CommandOf(run)), status, _, told);
  }
}

TEST(RunLesson, ExitsWith130WhenTheReaderLeaves) {
  for (const char* keys : {"q\n", "\x03", "\x04"}) {
    Terminal terminal(CommandOf({"", HasInside, "--step --color=never"}));
    EXPECT_EQ(
        terminal.Talk({{"q Enter: quit]", "\n"}, {"q Enter: quit]", keys}}),
        "exit status 130");
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("hold")));
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

}  // namespace
}  // namespace steps
