#include "common/program/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/program/command_line.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::EndsWith;
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
  const Result markdown = RunIt(refused, {"--markdown"});
  EXPECT_EQ(DescribeStatus(markdown.status), "exit status 77");
  EXPECT_EQ(markdown.errors, result.errors);
  EXPECT_THAT(
      markdown.output,
      AllOf(HasSubstr("\n**cannot run** unshare(CLONE_NEWUSER): No space left "
                      "on device (ENOSPC)\n\n- **cause** "),
            HasSubstr("\n- **remedy** ")));
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
                                             {"--json", "--shell"},
                                             {"--json", "--step"},
                                             {"--json", "--auto", "1"},
                                             {"--auto"},
                                             {"--auto", "-1"},
                                             {"--auto", "soon"},
                                             {"--auto", "nan"},
                                             {"--auto", "0,5"},
                                             {"--auto", ""},
                                             {"--save", ""},
                                             {"--cast", ""},
                                             {"--markdown", "--json"},
                                             {"--markdown", "--step"},
                                             {"--markdown", "--auto", "0"},
                                             {"--markdown", "--shell"}}) {
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
       {"--step", "--auto", "--code", "--shell", "--json", "--markdown",
        "--save", "--cast", "--color", "--version", "130"}) {
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

TEST(RunLesson, PrintsNothingButMarkdownForAnArticle) {
  const Result result = RunIt(Holds, {"--markdown", "--color=always"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.output,
              AllOf(StartsWith("# Example: a lesson\n\nnamespaces(7). Linux "),
                    EndsWith("\n- **holds** Yes.\n\n"
                             "**1 of 1 claims hold.**\n\n"
                             "Look around inside:\n\n```sh\n"
                             "bazel run //lessons:example -- --shell\n```\n"),
                    Not(HasSubstr("\x1b"))));
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

TEST(RunLesson, PrintsNothingButTheDrawingForGraphviz) {
  const Result result = RunIt(
      [](Lesson& lesson) {
        lesson.Begin("One");
        lesson.Claim("No.", false);
      },
      {"--dot"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output,
              AllOf(StartsWith("graph lesson {"), HasSubstr("<B>before</B>"),
                    HasSubstr("<B>after</B>")));
  EXPECT_THAT(result.errors, IsEmpty());
}

TEST(RunLesson, DrawsNothingWhenTheLessonFails) {
  const Teach fails = [](Lesson&) { throw CallError(EBADF, "close(-1)"); };
  const Result result = RunIt(fails, {"--dot"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output, IsEmpty());
  EXPECT_THAT(result.errors, HasSubstr("close(-1)"));
}

TEST(RunLesson, LooksForGraphvizBeforeTheLessonRuns) {
  const Teach never = [](Lesson&) { throw std::logic_error("it has run"); };
  const Result result =
      RunIt(never, {"--svg"}, [] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.output, IsEmpty());
  EXPECT_EQ(result.errors,
            "example: execvp(\"dot\"): No such file or directory (ENOENT)\n"
            "  cause   Graphviz, which draws, is not installed.\n"
            "  remedy  sudo apt-get install graphviz\n");
}

TEST(RunLesson, ExitsWith1WhenGraphvizFails) {
  std::string folder = "/tmp/program_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  WriteAll(Open(folder + "/dot", O_WRONLY | O_CREAT, 0755).get(),
           "#!/bin/sh\nexit 3\n");
  const Result result =
      RunIt(Holds, {"--svg"}, [&] { setenv("PATH", folder.c_str(), 1); });
  std::filesystem::remove_all(folder);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output, IsEmpty());
  EXPECT_THAT(result.errors, AllOf(StartsWith("example: dot -Tsvg "),
                                   HasSubstr("exit status 3")));
}

TEST(RunLesson, HasOneFormAtATime) {
  for (const std::vector<std::string>& forms :
       std::vector<std::vector<std::string>>{{"--dot", "--svg"},
                                             {"--dot", "--json"},
                                             {"--svg", "--json"},
                                             {"--dot", "--shell"},
                                             {"--svg", "--shell"},
                                             {"--dot", "--auto", "1"},
                                             {"--svg", "--step"}}) {
    const Result result = RunIt(Holds, forms);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2") << forms[0];
    EXPECT_THAT(result.errors, HasSubstr("excludes"));
    EXPECT_THAT(result.output, IsEmpty());
  }
}

TEST(RunLesson, RecordsWhatATerminalWouldShow) {
  const Descriptor file(memfd_create("cast", 0));
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  const auto played = [&] {
    std::istringstream cast(ReadFile(path));
    std::string line;
    std::getline(cast, line);
    EXPECT_EQ(nlohmann::json::parse(line)["title"], kAbout.title);
    std::string text;
    while (std::getline(cast, line)) {
      const auto event = nlohmann::json::parse(line);
      if (event[1] == "o") text += event[2].get<std::string>();
    }
    std::erase(text, '\r');
    return text;
  };
  const std::string shown = RunIt(Holds, {"--color=always"}).output;
  for (const std::vector<std::string>& beside :
       std::vector<std::vector<std::string>>{
           {}, {"--json"}, {"--markdown"}, {"--auto", "0"}}) {
    std::vector<std::string> arguments = {"--cast", path};
    arguments.insert(arguments.end(), beside.begin(), beside.end());
    const Result result = RunIt(Holds, arguments);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    EXPECT_EQ(result.output, RunIt(Holds, beside).output);
    EXPECT_EQ(played(), shown);
  }
  const Result failed =
      RunIt([](Lesson&) { throw CallError(EBADF, "close(-1)"); },
            {"--cast", path, "--color=always"});
  EXPECT_EQ(DescribeStatus(failed.status), "exit status 1");
  EXPECT_EQ(played(), failed.output + failed.errors);

  const Result nowhere = RunIt(Holds, {"--cast", "/nonexistent/file"});
  EXPECT_EQ(DescribeStatus(nowhere.status), "exit status 2");
  EXPECT_THAT(nowhere.errors,
              StartsWith("example: --cast: open(\"/nonexistent/file\"): "));
  const Result full = RunIt(Holds, {"--cast", "/dev/full"});
  EXPECT_EQ(DescribeStatus(full.status), "exit status 1");
  EXPECT_THAT(full.errors, HasSubstr("No space left on device"));
}

TEST(RunLesson, EntersAUserNamespaceOnlyWhereItNeedsRoot) {
  for (const bool needs_root : {true, false}) {
    About about = kAbout;
    about.needs_root = needs_root;
    const auto teach = [needs_root](Lesson& lesson) {
      lesson.Claim("Root.", (geteuid() == 0) == needs_root);
    };
    const Result result = RunCommand({.function = [&] {
      if (IsRoot()) BecomeNobody();
      std::vector<std::string> argv = {"example", "--json"};
      return RunLesson(static_cast<int>(argv.size()),
                       ExecArguments(argv).data(), about, teach);
    }});
    const nlohmann::json json = nlohmann::json::parse(result.output);
    EXPECT_EQ(json["verdict"], "holds");
    EXPECT_EQ(json["privilege"], needs_root ? "user namespace" : "none");
  }
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
                                             {"--step", "one"},
                                             {"--code", "one"},
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
                                             {"--markdown", "one"},
                                             {"--cast", "/dev/null", "one"},
                                             {"--save", "file", "one"}}) {
    EXPECT_THAT(RunTask(wrong, true).errors, HasSubstr("leaves no document"));
  }
}

TEST(RunLesson, LeavesNoDrawingOfACommand) {
  for (const char* form : {"--dot", "--svg"}) {
    const Result result = RunTask({form, "one"}, true);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
    EXPECT_THAT(result.errors, HasSubstr("leaves no drawing"));
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
           {}, {"--json"}, {"--markdown"}, {"--help"}, {"--version"}}) {
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

// A lesson with a step and an inside.
void HasInside(Lesson& lesson) {
  lesson.Begin("One");
  Child child([](Line& line) {
    Side("inside", line).Show({{"PID", "1", "getpid(2)"}});
    line.Checkpoint();
  });
  Check(child.Started(clone(Child::Main, child.stack_top(),
                            CLONE_NEWUTS | SIGCHLD, &child)),
        "clone()");
  lesson.outside().Hear(child);
  lesson.Keep(std::move(child));
  lesson.Begin("Two");
  lesson.Claim("Yes.", true);
}

TEST(RunLesson, StopsAtEachStepWhereItIsAskedTo) {
  // A long prompt would not be shown whole.
  Terminal terminal(LessonCommand(HasInside, {"--step", "--color=never"}, [] {
    setenv("BUILD_WORKING_DIRECTORY", "/", 1);
  }));
  terminal.ReadTo("1  One\r\n[Enter: run this step   q: quit]");
  terminal.Type("\n");
  terminal.ReadTo("2  Two\r\n[Enter: run this step   s: a shell inside");
  terminal.Type("s");
  terminal.ReadTo("[inside example] ");
  terminal.Type("exit\n");
  terminal.ReadTo("q: quit]");
  terminal.Type("\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(), HasSubstr("1 of 1 claims hold."));
}

TEST(RunLesson, ExitsWith130WhenTheReaderQuits) {
  Terminal terminal(LessonCommand(HasInside, {"--step"}));
  terminal.Type("\nq");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("hold")));
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunLesson, StopsForATerminalOnly) {
  const Result result = RunIt(HasInside, {"--step"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
  EXPECT_THAT(result.errors, HasSubstr("--step is for a terminal"));
  EXPECT_THAT(result.output, IsEmpty());
  const Result automatic = RunIt(HasInside, {"--auto", "0"});
  EXPECT_EQ(DescribeStatus(automatic.status), "exit status 0");
  EXPECT_EQ(automatic.output, RunIt(HasInside).output);
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
