#include "tests/support/lessons.h"

namespace steps {
namespace {

// A lesson that leaves a document with these members, and ends with `status`.
std::string Leaves(const std::string& members, int status = 0) {
  return fmt::format(
      "echo \"lesson $0 $*\"\nfor save; do :; done\n"
      "echo '{{\"title\": \"Name: A title\", {}}}' >$save\nexit {}",
      members, status);
}

const std::string kHolds = Leaves(R"("claims": [{"holds": true}])");
const std::string kFails = Leaves(R"("claims": [{"holds": false}])", 1);
const std::string kRefused = Leaves(R"("error": "e", "cause": "No way.")", 77);

class TourTest : public LessonFolderTest {};

INSTANTIATE_TEST_SUITE_P(Is, TourTest, ValuesIn(ForBothUsers({"tour"})),
                         LessonName);

TEST_P(TourTest, RunsEveryLessonAndSumsUp) {
  const std::string shown = Run().output;
  ExpectFits80Columns(shown);
  const std::string table = shown.substr(shown.find(" what it is about "));
  std::set<std::string> lessons;
  const json tour = RunJson();
  for (const json& lesson : tour["lessons"]) {
    const std::string name = lesson["lesson"];
    lessons.insert(name);
    EXPECT_EQ(lesson["verdict"], "holds");
    EXPECT_THAT(table, ContainsRegex("\n *" + name + " .* ms\n"));
  }
  EXPECT_EQ(lessons, LessonNames());
  EXPECT_THAT(table,
              EndsWith(fmt::format(" ms: {} ran, 0 could not, 0 failed.\n",
                                   lessons.size())));
}

TEST_P(TourTest, GoesOnAfterALessonThatFailsOrCannotRun) {
  folder_.FakeAll(kHolds);
  folder_.Fake("uts", kFails);
  folder_.Fake("ipc", kRefused);
  folder_.Fake("user",
               Leaves(R"("claims": [{"holds": null}, {"holds": true}])"));
  folder_.Fake("pid", "kill -SEGV $$\n");
  folder_.Remove("mount");
  ExpectExit(Try({}), 1,
             AllOf(ContainsRegex(
                       "\n *uts  +A title  +0 of 1  .*"
                       "\n *ipc  +A title  +cannot run here  .*"
                       "\n *pid  +failed with 139  .*"
                       "\n *mount  +failed with 1  .*\n *chroot  +A title  +1 "
                       "of 1 .*\n *user  +A title  +1 of 1, 1 skipped "),
                   HasSubstr("\n     refused  ipc: No way.\n"),
                   EndsWith(": 14 ran, 1 could not, 3 failed.\n")),
             HasSubstr("/mount\"): No such file"));
  EXPECT_EQ(RunJson({}, 1, {"--lesson", "pid"})["lessons"].dump(),
            R"([{"exit_status":139,"lesson":"pid"}])");
}

TEST_P(TourTest, ExitsWith77OnlyWhereNoneOfItsLessonsCanRun) {
  folder_.FakeAll(kRefused);
  EXPECT_THAT(Run({}, {}, 77).output,
              AllOf(HasSubstr("\n     refused  all: No way.\n"),
                    EndsWith(" ms: 0 ran, 15 could not, 0 failed.\n")));
  EXPECT_EQ(json::parse(Run({"--json"}, {}, 77).output)["exit_status"], 77);
  folder_.Fake("pid", kHolds);
  Run({"--lesson", "uts", "pid"});
  folder_.Fake("pid", kFails);
  Run({"--lesson", "uts", "pid"}, {}, 1);
}

TEST_P(TourTest, HandsTheOptionsOfALessonOn) {
  folder_.FakeAll(kHolds);
  const std::string all =
      Run({"--step", "--auto", "0.5", "--code", "--color=always"}).output;
  for (const std::string& lesson : LessonNames()) {
    EXPECT_THAT(all, HasSubstr("/" + lesson +
                               " --color=always --step --code --auto 0.5 "));
  }
  EXPECT_THAT(
      Run({"--markdown", "--lesson", "uts", "pid"}).output,
      AllOf(ContainsRegex("^lesson .*/uts --color=never --markdown --save .*"
                          "\n\n\nlesson .*/pid --color=never"),
            ContainsRegex("\n\n\n\\| lesson \\| what it is about \\| claims "
                          "that hold \\| time \\|\n\\|---\\|---\\|---\\|---\\|"
                          "\n\\| uts \\| A title \\| 1 of 1 \\| [0-9]+ ms \\|"
                          "\n\\| pid .*\n\n2 lessons in "),
            Not(HasSubstr("\x1b"))));
}

TEST_P(TourTest, RefusesWrongUsage) {
  for (const Words& wrong :
       {Words{"--lesson", "uts", "utx"}, {"--lesson"}, {"uts"}}) {
    ExpectExit(Try(wrong), 2, "",
               HasSubstr("bazel run //lessons:tour -- --help"));
  }
  ExpectFits80Columns(Run({"--help"}).output);
  ExpectExit(Try({"--step"}), 2, "", HasSubstr("--step is for a terminal"));
}

// The real lessons, on a terminal: the first to its end, the second not.
TEST_P(TourTest, GoesAStepAtATimeUntilTheReaderLeavesOrItIsKilled) {
  for (const bool killed : {false, true}) {
    Terminal terminal(Lesson({"--step", "--lesson", "chroot", "user"}));
    while (terminal.screen().find("user_namespaces(7)") == std::string::npos) {
      ASSERT_NE(terminal.ReadTo("q Enter: quit"), "") << terminal.screen();
      terminal.Type("\n");
    }
    EXPECT_THAT(terminal.screen(), HasSubstr(" claims hold."));
    terminal.ReadTo("q Enter: quit");
    killed ? kill(terminal.pid(), SIGKILL) : (terminal.Type("q\n"), 0);
    EXPECT_EQ(terminal.Await(),
              killed ? "killed by SIGKILL" : "exit status 130");
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("what it is about")));
    EXPECT_THAT(Survivors(), IsEmpty()) << "though it became another user";
  }
}

TEST_P(TourTest, EndsWithItsLessonAndFailsOnAFullDisk) {
  folder_.FakeAll("echo here\nexec sleep 1000\n");
  Terminal terminal(Lesson());
  terminal.ReadTo("here");
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Await(), "exit status 130");
  // That is for the lesson to say.
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("interrupted")));
  folder_.FakeAll("echo \"$0\" >&2\nkill -PIPE $$\n");
  EXPECT_THAT(Run({}, {}, 128 + SIGPIPE).errors, EndsWith("/inspect\n"));
  folder_.FakeAll("echo left; exit 2\n");
  EXPECT_EQ(Run({}, {}, 2).output, "left\n");
  folder_.FakeAll("exit 0\n");
  EXPECT_THAT(Run({}, FillStdout, 1).errors, HasSubstr("No space left"));
}

}  // namespace
}  // namespace steps
