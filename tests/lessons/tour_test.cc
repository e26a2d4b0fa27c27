#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "tests/support/lesson_folder.h"
#include "tests/support/lesson_run.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class TourTest : public testing::Test {
 protected:
  Command Tour(const std::vector<std::string>& arguments = {}) const {
    return {.program = folder_.Program("tour"), .arguments = arguments};
  }

  const LessonFolder folder_;
};

// What a lesson that holds does: its last argument is that of --save.
constexpr const char* kHolds =
    "echo \"lesson $0 $*\"\n"
    "for save; do :; done\n"
    "echo '{\"title\": \"A title\", \"claims\": [{\"holds\": true}]}' > "
    "$save\n";

// The same, with this document, and then `more`.
std::string Leaves(const std::string& document, const std::string& more = "") {
  return "for save; do :; done\necho '" + document + "' > $save\n" + more;
}

TEST_F(TourTest, RunsEveryLessonAndSumsUp) {
  for (const bool as_nobody : {false, true}) {
    Command command = Tour();
    command.as_nobody = as_nobody;
    const Result result = RunCommand(command);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    ExpectFits80Columns(result.output);
    // Its margin gives way where a claim was skipped.
    const std::string table =
        result.output.substr(result.output.find(" what it is about "));
    for (const std::string& lesson : LessonNames()) {
      EXPECT_THAT(table, testing::ContainsRegex("\n *" + lesson + " .* ms\n"));
    }
    EXPECT_THAT(table, HasSubstr(fmt::format("\n{} lessons in ",
                                             LessonNames().size())));
    EXPECT_THAT(table, HasSubstr(" ms, 0 failed.\n"));
  }
}

TEST_F(TourTest, GoesOnAfterALessonThatFails) {
  folder_.FakeAll(kHolds);
  folder_.Fake(
      "uts",
      Leaves(R"({"title": "Wrong", "claims": [{"holds": false}]})", "exit 1"));
  folder_.Fake("pid", "kill -SEGV $$\n");
  folder_.Remove("mount");
  const Result result = RunCommand(Tour());
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output,
              AllOf(testing::ContainsRegex("\n  uts  +Wrong  +0 of 1  "),
                    testing::ContainsRegex("\n  pid  +failed with 139  "),
                    testing::ContainsRegex("\n  chroot  +A title  +1 of 1  "),
                    testing::ContainsRegex("\n  mount  +failed with 1  "),
                    HasSubstr(" ms, 3 failed.\n")));
  EXPECT_THAT(result.errors, HasSubstr("/mount\"): No such file"));
}

TEST_F(TourTest, SkipsALessonThatCannotRun) {
  folder_.FakeAll(kHolds);
  folder_.Fake("ipc", Leaves(R"({"title": "T", "error": "e"})", "exit 77"));
  folder_.Fake("pid", Leaves(R"({"title": "T", "claims": [{"holds": null},
                                                          {"holds": true}]})"));
  const Result result = RunCommand(Tour());
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output,
              AllOf(testing::ContainsRegex("\n  ipc  +T  +cannot run here  "),
                    testing::ContainsRegex("\n  pid  +T  +1 of 1, 1 skipped  "),
                    HasSubstr(" ms, 0 failed.\n")));
}

TEST_F(TourTest, HandsTheColorOn) {
  folder_.FakeAll(kHolds);
  EXPECT_THAT(RunCommand(Tour()).output,
              AllOf(HasSubstr("/uts --color=never "), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(RunCommand(Tour({"--color=always"})).output,
              AllOf(HasSubstr("/uts --color=always "), HasSubstr("\x1b")));
}

TEST_F(TourTest, HandsTheOptionsOfALessonOn) {
  folder_.FakeAll(kHolds);
  const std::string all =
      RunCommand(Tour({"--step", "--auto", "0.5", "--code"})).output;
  for (const std::string& lesson : LessonNames()) {
    EXPECT_THAT(all, HasSubstr("/" + lesson +
                               " --color=never --step --auto 0.5 --code "));
  }
  EXPECT_THAT(RunCommand(Tour()).output,
              Not(testing::ContainsRegex("--(step|auto|code|markdown)")));
}

TEST_F(TourTest, RunsOnlyTheLessonsThatTheReaderNames) {
  folder_.FakeAll(kHolds);
  const Result result = RunCommand(Tour({"--lesson", "uts", "pid"}));
  EXPECT_THAT(
      result.output,
      AllOf(testing::ContainsRegex("\n  uts .*\n  pid .*\n\n2 lessons "),
            Not(HasSubstr("/ipc "))));
  const Result wrong = RunCommand(Tour({"--lesson", "uts", "utx"}));
  EXPECT_EQ(DescribeStatus(wrong.status), "exit status 2");
  EXPECT_THAT(wrong.output, IsEmpty());
  EXPECT_THAT(wrong.errors, HasSubstr("utx"));
  for (const std::string& lesson : LessonNames()) {
    EXPECT_THAT(wrong.errors, HasSubstr(lesson));
  }
}

TEST_F(TourTest, PrintsOneDocumentForAProgram) {
  for (const bool as_nobody : {false, true}) {
    Command command = Tour({"--json"});
    command.as_nobody = as_nobody;
    const Result result = RunCommand(command);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    const auto tour = nlohmann::json::parse(result.output);
    EXPECT_EQ(SchemaErrors(tour, "tour.schema.json"), "");
    std::set<std::string> lessons;
    for (const auto& lesson : tour["lessons"]) {
      lessons.insert(lesson["lesson"]);
      EXPECT_EQ(lesson["verdict"], "holds");
    }
    EXPECT_EQ(lessons, LessonNames());
    EXPECT_EQ(tour["exit_status"], 0);
  }
}

TEST_F(TourTest, HasALessonWithoutADocumentInItsOwn) {
  folder_.Fake("pid", "kill -SEGV $$\n");
  const Result result = RunCommand(Tour({"--json", "--lesson", "uts", "pid"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  const auto tour = nlohmann::json::parse(result.output);
  EXPECT_EQ(SchemaErrors(tour, "tour.schema.json"), "");
  EXPECT_EQ(tour["lessons"][1]["lesson"], "pid");
  EXPECT_EQ(tour["lessons"][1]["exit_status"], 139);
  EXPECT_EQ(tour["exit_status"], 1);
}

TEST_F(TourTest, EndsItsMarkdownWithATable) {
  folder_.FakeAll(kHolds);
  const Result result = RunCommand(Tour({"--markdown", "--lesson", "uts"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(
      result.output,
      testing::ContainsRegex(
          "^lesson .*/uts --color=never --markdown --save .*\n\n\n"
          "\\| lesson \\| what it is about \\| claims that hold \\| time \\|\n"
          "\\|---\\|---\\|---\\|---\\|\n"
          "\\| uts \\| A title \\| 1 of 1 \\| [0-9]+ ms \\|\n\n"
          "1 lesson in "));
}

TEST_F(TourTest, RefusesWrongUsage) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"uts"},
                                             {"--nonsense"},
                                             {"--lesson"},
                                             {"--json", "--markdown"},
                                             {"--json", "--step"},
                                             {"--json", "--auto", "1"},
                                             {"--auto", "soon"},
                                             {"--markdown", "--step"},
                                             {"--markdown", "--auto", "1"}}) {
    const Result result = RunCommand(Tour(wrong));
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2") << wrong[0];
    EXPECT_THAT(result.output, IsEmpty());
    EXPECT_THAT(result.errors, HasSubstr("bazel run //lessons:tour -- --help"));
  }
}

TEST_F(TourTest, EndsWithALessonThatTheReaderLeaves) {
  folder_.FakeAll(kHolds);
  folder_.Fake("clone", "echo left\nexit 130\n");
  const Result result = RunCommand(Tour({"--step"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 130");
  EXPECT_THAT(result.output,
              AllOf(testing::EndsWith("left\n"), HasSubstr("/inspect ")));
}

// The real lessons, on a terminal: the first to its end, the second not.
TEST_F(TourTest, GoesAStepAtATimeUntilTheReaderLeaves) {
  Terminal terminal(Tour({"--step", "--lesson", "chroot", "uts"}));
  while (terminal.screen().find("uts_namespaces(7)") == std::string::npos) {
    ASSERT_NE(terminal.ReadTo("Enter: "), "") << terminal.screen();
    terminal.AwaitKeys();
    terminal.Type("\n");
  }
  EXPECT_THAT(terminal.screen(), HasSubstr("6 of 6 claims hold."));
  terminal.ReadTo("Enter: ");
  terminal.Type("q");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("what it is about")));
}

TEST_F(TourTest, RefusesToGoByStepsWithoutATerminal) {
  const Result result = RunCommand(Tour({"--step"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
  EXPECT_THAT(result.errors, HasSubstr("--step is for a terminal"));
}

TEST_F(TourTest, EndsWithALessonThatCannotUseItsOptions) {
  folder_.FakeAll("echo \"$0: bad\" >&2\nexit 2\n");
  const Result result = RunCommand(Tour({"--auto", "0"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
  EXPECT_THAT(result.errors, testing::EndsWith("/inspect: bad\n"));
}

TEST_F(TourTest, HelpsWithinEightyColumns) {
  const Result result = RunCommand(Tour({"--help"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  ExpectFits80Columns(result.output);
}

TEST_F(TourTest, FailsOnAFullDisk) {
  folder_.FakeAll("exit 0\n");
  Command command = Tour();
  command.before = [] {
    Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
  };
  const Result result = RunCommand(command);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
}

TEST_F(TourTest, StopsWhenNobodyReads) {
  folder_.FakeAll("echo \"$0\" >&2\nkill -PIPE $$\n");
  const Result result = RunCommand(Tour());
  EXPECT_EQ(DescribeStatus(result.status), "killed by SIGPIPE");
  EXPECT_THAT(result.errors, testing::EndsWith("/inspect\n"));
}

TEST_F(TourTest, EndsWith130OnCtrlC) {
  folder_.FakeAll("echo here\nexec sleep 1000\n");
  Terminal terminal(Tour());
  terminal.ReadTo("here");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(Survivors(), IsEmpty());
  // That is for the lesson to say.
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("interrupted")));
}

TEST_F(TourTest, TakesWithItALessonThatBecameAnotherUser) {
  Terminal terminal(Tour({"--step", "--lesson", "user"}));
  terminal.ReadTo("Enter: run this step");
  terminal.AwaitKeys();
  terminal.Type("\n");
  terminal.ReadTo("Enter: ");
  terminal.AwaitKeys();
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_F(TourTest, LeavesNothingWhenItIsKilled) {
  folder_.FakeAll("echo here\nexec sleep 1000\n");
  Terminal terminal(Tour());
  terminal.ReadTo("here");
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
