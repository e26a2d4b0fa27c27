#include "common/program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/tool.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

using Teach = std::function<void(Lesson&)>;

const About kAbout = {"example", "Example: a lesson", "namespaces(7)"};

void Holds(Lesson& lesson) { lesson.Claim("Yes.", true); }

// The command that runs `teach` as a lesson's main() would.
Command LessonCommand(
    const Teach& teach, const std::vector<std::string>& arguments = {},
    const std::function<void()>& before = [] {}) {
  return {.function = [=] {
    before();
    std::vector<std::string> argv = {"example"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunLesson(static_cast<int>(argv.size()), ExecArguments(argv).data(),
                     kAbout, teach);
  }};
}

Result RunIt(
    const Teach& teach, const std::vector<std::string>& arguments = {},
    const std::function<void()>& before = [] {}) {
  return RunCommand(LessonCommand(teach, arguments, before));
}

TEST(RunLesson, ExitsWith0WhenEveryClaimHolds) {
  const Result result = RunIt(Holds);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.output,
              AllOf(StartsWith("Example: a lesson "),
                    HasSubstr("namespaces(7)\nLinux "),
                    HasSubstr("1 of 1 claims hold.\nLook around inside: "
                              "bazel run //lessons:example -- --shell\n")));
  EXPECT_THAT(result.errors, IsEmpty());
}

TEST(RunLesson, ExitsWith1WhenAClaimDoesNotHold) {
  const Result result = RunIt([](Lesson& lesson) {
    lesson.Claim("Yes.", true);
    lesson.Claim("No.", false);
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output, HasSubstr("1 of 2 claims hold."));
}

TEST(RunLesson, ExitsWith1WhenTheLessonFails) {
  const Result result =
      RunIt([](Lesson&) { throw CallError(EBADF, "close(-1)"); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_EQ(result.errors, "example: close(-1): Bad file descriptor (EBADF)\n");
  EXPECT_THAT(result.output, Not(HasSubstr("claims hold")));
}

TEST(RunLesson, ExitsWith1WhenItsChildFails) {
  const Result result = RunIt([](Lesson& lesson) {
    Child child([](Line&) { raise(SIGTERM); });
    child.Fork();
    lesson.outside().Hear(child);
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.errors, HasSubstr("killed by SIGTERM"));
}

TEST(RunLesson, ExitsWith1WhenTheChildThatItKeepsFails) {
  const Result result = RunIt([](Lesson& lesson) {
    Child child([](Line& line) {
      line.Checkpoint();
      _exit(9);
    });
    child.Fork();
    lesson.Claim("Yes.", true);
    lesson.Keep(std::move(child));
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.errors, HasSubstr("exit status 9"));
}

TEST(RunLesson, ExitsWith1WhenACallFailsBecauseAChildWasKilled) {
  for (const bool keep : {false, true}) {
    const Result result = RunIt([keep](Lesson& lesson) {
      Child child([](Line&) { raise(SIGKILL); });
      child.Fork();
      Check(waitid(P_PID, child.pid(), nullptr, WEXITED | WNOWAIT), "waitid()");
      if (keep) lesson.Keep(std::move(child));
      throw CallError(ENOSPC, "unshare(CLONE_NEWUSER)");
    });
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    EXPECT_THAT(result.errors, HasSubstr("killed by SIGKILL"));
  }
}

TEST(RunLesson, ExitsWith77WhenTheMachineDoesNotAllowIt) {
  const auto refused = [](Lesson&) {
    throw CallError(ENOSPC, "unshare(CLONE_NEWUSER)");
  };
  const Result result = RunIt(refused);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(
      result.errors,
      MatchesRegex("example: unshare\\(CLONE_NEWUSER\\): No space left on "
                   "device \\(ENOSPC\\)\n  cause   .+\n  remedy  .+\n"));
  const Result json = RunIt(refused, {"--json"});
  EXPECT_EQ(DescribeStatus(json.status), "exit status 77");
  EXPECT_EQ(nlohmann::json::parse(json.output)["verdict"], "cannot run");
}

TEST(RunLesson, ExitsWith77WhereProcIsThatOfAnotherPidNamespace) {
  const auto run = [](const std::vector<std::string>& arguments) {
    return RunCommand({.function = [&] {
      Child child(
          [&](Line&) { _exit(LessonCommand(Holds, arguments).function()); });
      const int flags = CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD;
      child.Started(clone(Child::Main, child.stack_top(), flags, &child));
      return WEXITSTATUS(child.Wait());
    }});
  };
  const Result result = run({});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors,
              MatchesRegex("example: /proc does not know this process by its "
                           "PID\n  cause   .+\n  remedy  .+\n"));
  const Result json = run({"--json"});
  EXPECT_EQ(nlohmann::json::parse(json.output)["verdict"], "cannot run");
}

TEST(RunLesson, ExitsWith2WhenItIsCalledWrongly) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--nonsense"},
                                             {"extra"},
                                             {"--color"},
                                             {"--color=blue"},
                                             {"--json", "--shell"}}) {
    const Result result = RunIt(Holds, wrong);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2") << wrong[0];
    EXPECT_THAT(result.errors,
                AllOf(StartsWith("example: "),
                      HasSubstr("bazel run //lessons:example -- --help\n")));
    EXPECT_THAT(result.output, IsEmpty());
  }
}

TEST(RunLesson, HelpsWithExamplesFirst) {
  const Result result = RunIt(Holds, {"--help"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_LT(result.output.find("bazel run //lessons:example -- --shell"),
            result.output.find("Usage:"));
  for (const char* option :
       {"--shell", "--json", "--color", "--version", "130"}) {
    EXPECT_THAT(result.output, HasSubstr(option));
  }
  EXPECT_THAT(RunIt(Holds, {"--version"}).output,
              MatchesRegex("example [0-9.]+ \\(Namespaces, step by step\\)\n"));
}

TEST(RunLesson, PrintsNothingButTheDocumentForAProgram) {
  const Result result = RunIt(Holds, {"--json"});
  const nlohmann::json json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["lesson"], "example");
  EXPECT_EQ(json["verdict"], "holds");
  EXPECT_THAT(result.errors, IsEmpty());
}

TEST(RunLesson, SavesTheDocumentBesideWhatItShows) {
  std::string file = "/tmp/program_test.XXXXXX";
  const Descriptor saved(mkstemp(file.data()));
  const Result shown = RunIt(Holds, {"--save", file});
  EXPECT_THAT(shown.output, HasSubstr("1 of 1 claims hold."));
  EXPECT_EQ(ReadFile(file), RunIt(Holds, {"--json"}).output);
  RunIt([](Lesson&) { throw CallError(EBADF, "close(-1)"); }, {"--save", file});
  EXPECT_EQ(nlohmann::json::parse(ReadFile(file))["verdict"], "failed");
  std::filesystem::remove(file);

  const Result nowhere = RunIt(Holds, {"--save", "/nonexistent/file"});
  EXPECT_EQ(DescribeStatus(nowhere.status), "exit status 2");
  EXPECT_THAT(nowhere.errors, HasSubstr("/nonexistent/file"));
  const Result full = RunIt(Holds, {"--save", "/dev/full"});
  EXPECT_EQ(DescribeStatus(full.status), "exit status 1");
  EXPECT_THAT(full.errors, HasSubstr("No space left on device"));
}

// A lesson that has a task as well: it shows the reader's words.
Result RunTask(const std::vector<std::string>& arguments,
               bool runs_command = false) {
  const Task task = {.words = "WORD…",
                     .help = "show the words",
                     .example = "one two",
                     .runs_command = runs_command,
                     .run = [](Lesson& lesson, const auto& words) {
                       if (words[0] == "bad") throw UsageError("a bad word");
                       Table table = {{"word"}, {}};
                       for (const auto& word : words) {
                         table.rows.push_back({word});
                       }
                       lesson.Show(table);
                       return 5;
                     }};
  return RunCommand({.function = [=] {
    std::vector<std::string> argv = {"example"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunLesson(static_cast<int>(argv.size()), ExecArguments(argv).data(),
                     kAbout, Holds, task);
  }});
}

TEST(RunLesson, HasATaskForTheReadersWords) {
  const Result result = RunTask({"one"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 5") << result.errors;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\n  word\n  one\n"), Not(HasSubstr("hold"))));
  EXPECT_THAT(RunTask({}).output, HasSubstr("1 of 1 claims hold."));
  EXPECT_THAT(RunTask({"--help"}).output,
              HasSubstr("//lessons:example -- one two    show the words\n"));
  EXPECT_EQ(nlohmann::json::parse(
                RunTask({"--json", "one"}).output)["tables"][0]["rows"][0][0],
            "one");
}

TEST(RunLesson, LeavesTheOptionsOfACommandAlone) {
  const Result result = RunTask({"one", "--json", "-x"}, true);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 5");
  EXPECT_THAT(result.output, IsEmpty()) << "that is the command's";
  EXPECT_THAT(result.errors, HasSubstr("\n  one\n  --json\n  -x\n"));
}

TEST(RunLesson, RefusesWordsThatItCannotUse) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"bad"},
                                             {"--nonsense"},
                                             {"--shell", "one"},
                                             {"--json", "one"},
                                             {"--save", "file", "one"}}) {
    const Result result = RunTask(wrong, true);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2") << wrong[0];
    EXPECT_THAT(result.errors,
                AllOf(HasSubstr("example: "),
                      HasSubstr("bazel run //lessons:example -- --help\n")));
  }
}

TEST(RunLesson, LeavesNoDocumentOfACommand) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--json", "one"},
                                             {"--save", "file", "one"}}) {
    EXPECT_THAT(RunTask(wrong, true).errors, HasSubstr("leaves no document"));
  }
}

TEST(RunLesson, ExitsWith130WhenItIsInterrupted) {
  const auto wait = [](Lesson& lesson) {
    Child child([](Line& line) {
      Side("inside", line).Show({});
      while (true) pause();
    });
    child.Fork();
    lesson.outside().Hear(child);
    kill(getpid(), SIGINT);
  };
  const Result result = RunIt(wait);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 130");
  EXPECT_EQ(result.errors, "\ninterrupted\n");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunLesson, NeverReportsAFailedWriteAsSuccess) {
  const auto full = [] {
    Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
  };
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {}, {"--json"}, {"--help"}, {"--version"}}) {
    const Result result = RunIt(Holds, arguments, full);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
  }
  const Result closed = RunIt(Holds, {}, [] { close(STDOUT_FILENO); });
  EXPECT_EQ(DescribeStatus(closed.status), "exit status 1");
  EXPECT_THAT(closed.errors, HasSubstr("Bad file descriptor"));
  // What takes the place of a closed stderr must not become stdout.
  const Result both = RunIt(Holds, {}, [] {
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
  });
  EXPECT_EQ(DescribeStatus(both.status), "exit status 1");
}

// stdout is a pipe that nobody reads any more, as behind `| head -1`.
void BreakPipe() {
  std::array<int, 2> ends = {};
  Check(pipe2(ends.data(), O_CLOEXEC), "pipe2()");
  Check(dup2(ends[1], STDOUT_FILENO), "dup2()");
  close(ends[0]);
}

TEST(RunLesson, EndsQuietlyWhenNobodyReads) {
  const Result result = RunIt(Holds, {}, BreakPipe);
  EXPECT_EQ(DescribeStatus(result.status), "killed by SIGPIPE");
  EXPECT_THAT(result.errors, IsEmpty());
  const Result ignoring = RunIt(Holds, {}, [] {
    signal(SIGPIPE, SIG_IGN);
    BreakPipe();
  });
  EXPECT_EQ(DescribeStatus(ignoring.status), "exit status 1");
  EXPECT_THAT(ignoring.errors, IsEmpty());
}

TEST(RunLesson, RunsWithoutStdinAndStderr) {
  const Result result = RunIt(Holds, {}, [] {
    close(STDIN_FILENO);
    close(STDERR_FILENO);
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
}

TEST(RunLesson, IsCalledByItsNameInPs) {
  const Result result = RunIt([](Lesson& lesson) {
    lesson.Note(ReadFile("/proc/self/comm"));
    lesson.Claim("Yes.", true);
  });
  EXPECT_THAT(result.output, HasSubstr("     example\n"));
}

TEST(RunLesson, GoesWhereTheReaderTypedIt) {
  const Result result = RunIt(
      [](Lesson& lesson) {
        lesson.Claim("Here.", std::filesystem::current_path() == "/usr");
      },
      {}, [] { setenv("BUILD_WORKING_DIRECTORY", "/usr", 1); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.output;
}

TEST(RunLesson, HasNoColorWhereItIsNotOnATerminal) {
  EXPECT_THAT(RunIt(Holds).output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(RunIt(Holds, {"--color=never"}).output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(RunIt(Holds, {"--color=always"}).output, HasSubstr("\x1b["));
}

TEST(RunLesson, MakesAnOrdinaryUserRootAndSaysSo) {
  Command command = LessonCommand([](Lesson& lesson) {
    lesson.Claim("It is root.", geteuid() == 0);
    lesson.outside().Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
  });
  const std::function<int()> run = command.function;
  command.function = [&] {
    if (IsRoot()) BecomeNobody();
    return run();
  };
  const Result result = RunCommand(command);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, HasSubstr("root in a user namespace of its own"));
}

}  // namespace
}  // namespace steps
