#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "tests/lesson_run.h"
#include "tests/lessons.h"
#include "tests/process.h"
#include "tests/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A folder that anybody may read, with the tour and what it runs: it looks for
// the lessons beside itself.
class TourTest : public testing::Test {
 protected:
  TourTest() {
    Check(mkdtemp(folder_.data()) == nullptr ? -1 : 0, "mkdtemp()");
    fs::permissions(folder_, fs::perms(0755));
    fs::copy("lessons/tour", folder_);
  }
  ~TourTest() override { fs::remove_all(folder_); }

  void CopyLessons() {
    for (const std::string& lesson : Lessons()) {
      fs::copy("lessons/" + lesson, folder_);
    }
  }

  // Instead of each lesson a script with these lines.
  void FakeLessons(const std::string& lines) {
    for (const std::string& lesson : Lessons()) Fake(lesson, lines);
  }

  void Fake(const std::string& lesson, const std::string& lines) {
    Remove(lesson);
    WriteAll(Open(folder_ + "/" + lesson, O_WRONLY | O_CREAT, 0755).get(),
             "#!/bin/sh\n" + lines);
  }

  void Remove(const std::string& lesson) { fs::remove(folder_ + "/" + lesson); }

  static std::set<std::string> Lessons() {
    std::set<std::string> lessons;
    for (const LessonAndUser& each : LessonsAndUsers()) {
      if (each.first != "tour") lessons.insert(each.first);
    }
    return lessons;
  }

  Command Tour(const std::vector<std::string>& arguments = {}) const {
    return {.program = folder_ + "/tour", .arguments = arguments};
  }

 private:
  std::string folder_ = "/tmp/tour_test.XXXXXX";
};

// What a lesson that holds does: its second argument is --save.
constexpr const char* kHolds =
    "echo \"lesson $0 $1\"\n"
    "echo '{\"title\": \"A title\", \"claims\": [{\"holds\": true}]}' > $3\n";

TEST_F(TourTest, RunsEveryLessonAndSumsUp) {
  CopyLessons();
  for (const bool as_nobody : {false, true}) {
    Command command = Tour();
    command.as_nobody = as_nobody;
    const Result result = RunCommand(command);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    ExpectFits80Columns(result.output);
    const std::string table =
        result.output.substr(result.output.find("\n  lesson "));
    for (const std::string& lesson : Lessons()) {
      EXPECT_THAT(table, testing::ContainsRegex("\n  " + lesson + " .* ms\n"));
    }
    EXPECT_THAT(table,
                HasSubstr(fmt::format("\n{} lessons in ", Lessons().size())));
    EXPECT_THAT(table, HasSubstr(" ms, 0 failed.\n"));
  }
}

TEST_F(TourTest, GoesOnAfterALessonThatFails) {
  FakeLessons(kHolds);
  Fake("uts",
       "echo '{\"title\": \"Wrong\", \"claims\": [{\"holds\": false}]}' > $3\n"
       "exit 1\n");
  Fake("pid", "kill -SEGV $$\n");
  Remove("mount");
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
  FakeLessons(kHolds);
  Fake("ipc", "echo '{\"title\": \"T\", \"error\": \"e\"}' > $3\nexit 77\n");
  Fake("pid",
       "echo '{\"title\": \"T\", \"claims\": [{\"holds\": null}, "
       "{\"holds\": true}]}' > $3\n");
  const Result result = RunCommand(Tour());
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output,
              AllOf(testing::ContainsRegex("\n  ipc  +T  +cannot run here  "),
                    testing::ContainsRegex("\n  pid  +T  +1 of 1, 1 skipped  "),
                    HasSubstr(" ms, 0 failed.\n")));
}

TEST_F(TourTest, HandsTheColorOn) {
  FakeLessons(kHolds);
  EXPECT_THAT(RunCommand(Tour()).output,
              AllOf(HasSubstr("/uts --color=never\n"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(RunCommand(Tour({"--color=always"})).output,
              AllOf(HasSubstr("/uts --color=always\n"), HasSubstr("\x1b")));
}

TEST_F(TourTest, RefusesWrongUsage) {
  const Result result = RunCommand(Tour({"uts"}));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
  EXPECT_THAT(result.errors, HasSubstr("bazel run //lessons:tour -- --help"));
}

TEST_F(TourTest, FailsOnAFullDisk) {
  FakeLessons("exit 0\n");
  Command command = Tour();
  command.before = [] {
    Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
  };
  const Result result = RunCommand(command);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
}

TEST_F(TourTest, StopsWhenNobodyReads) {
  FakeLessons("echo \"$0\" >&2\nkill -PIPE $$\n");
  const Result result = RunCommand(Tour());
  EXPECT_EQ(DescribeStatus(result.status), "killed by SIGPIPE");
  EXPECT_THAT(result.errors, testing::EndsWith("/inspect\n"));
}

TEST_F(TourTest, EndsWith130OnCtrlC) {
  FakeLessons("echo here\nexec sleep 1000\n");
  Terminal terminal(Tour());
  terminal.ReadTo("here");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_F(TourTest, LeavesNothingWhenItIsKilled) {
  FakeLessons("echo here\nexec sleep 1000\n");
  Terminal terminal(Tour());
  terminal.ReadTo("here");
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
