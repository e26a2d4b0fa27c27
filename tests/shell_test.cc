#include "common/shell.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/namespaces.h"
#include "common/user_namespace.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::ElementsAre;

// A process that is inside: in a UTS namespace of its own, and in what `flags`
// add to it, at a checkpoint.
class Inside {
 public:
  explicit Inside(int flags = CLONE_NEWUTS)
      : child_([](Line& line) { line.Checkpoint(); }) {
    Check(child_.Started(
              clone(Child::Main, child_.stack_top(), flags | SIGCHLD, &child_)),
          "clone({})", CloneFlags(flags | SIGCHLD));
  }
  Child& child() { return child_; }
  std::string Link() const {
    return FromLink("", fmt::format("/proc/{}/ns/uts", child_.pid())).value;
  }

 private:
  Child child_;
};

// A lesson whose shell reads `input` and what is typed later, and has printed
// its first line. Root in a user namespace, whoever runs the test.
class LessonWithShell {
 public:
  explicit LessonWithShell(const std::string& input, int flags = CLONE_NEWUTS)
      : process_([this, flags](Line& line) {
          EnterUserNamespaceAsRoot();
          Check(dup2(typed_[0], STDIN_FILENO), "dup2()");
          Check(dup2(printed_[1], STDOUT_FILENO), "dup2()");
          Inside inside(flags);
          line.Send(inside.Link());
          RunShell(inside.child().pid(), flags, "prompt ");
          inside.child().Finish();
        }) {
    Check(pipe2(typed_.data(), O_CLOEXEC), "pipe2()");
    Check(pipe2(printed_.data(), O_CLOEXEC), "pipe2()");
    Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl()");
    WriteAll(typed_[1], input);
    process_.Fork();
    close(printed_[1]);
    link_ = process_.Receive().value();
    for (char c = 0; c != '\n';) {
      if (read(printed_[0], &c, 1) != 1) break;
      if (c != '\n') line_ += c;
    }
  }
  ~LessonWithShell() {
    close(printed_[0]);
    close(typed_[0]);
    close(typed_[1]);
  }

  Child& process() { return process_; }
  // The link of the namespace that is to be joined.
  const std::string& link() const { return link_; }
  const std::string& line() const { return line_; }
  void Type(const std::string& text) { WriteAll(typed_[1], text); }

 private:
  std::array<int, 2> typed_ = {};
  std::array<int, 2> printed_ = {};
  Child process_;
  std::string link_;
  std::string line_;
};

TEST(RunShell, RunsInTheNamespacesOfTheProcess) {
  LessonWithShell lesson("readlink /proc/self/ns/uts\n");
  EXPECT_EQ(lesson.line(), lesson.link());
  lesson.Type("exit 5\n");
  lesson.process().Finish();
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, JoinsAPidNamespaceWithOthers) {
  LessonWithShell lesson("echo $PPID $(readlink /proc/self/ns/uts)\n",
                         CLONE_NEWUTS | CLONE_NEWPID);
  EXPECT_EQ(lesson.line(), "0 " + lesson.link()) << "its parent is outside";
  lesson.Type("exit\n");
  lesson.process().Finish();
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, EndsWhatTheShellLeavesRunning) {
  LessonWithShell lesson(
      "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; echo\n");
  EXPECT_GE(Descendants().size(), 6U);
  lesson.Type("exit\n");
  lesson.process().Finish();
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, EndsWithItsLesson) {
  LessonWithShell lesson("sleep 1000 & setsid sleep 1000 & echo\n");
  kill(lesson.process().pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(lesson.process().Wait()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, IsTidiedUpByTheLessonWhenItsKeeperIsKilled) {
  LessonWithShell lesson("sleep 1000 & setsid sleep 1000 & echo $PPID\n");
  kill(std::stoi(lesson.line()), SIGKILL);
  EXPECT_THROW(lesson.process().Finish(), ChildError);
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, ThrowsWhenThereIsNoShell) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    Inside inside;
    setenv("PATH", "/nonexistent", 1);
    try {
      RunShell(inside.child().pid(), CLONE_NEWUTS, "");
      FAIL();
    } catch (const CallError& error) {
      EXPECT_EQ(error.call(), "execvp(\"bash\")");
      EXPECT_EQ(error.error(), ENOENT);
    }
    inside.child().Finish();
  });
}

TEST(SecondTerminal, NamesWhatDiffers) {
  EXPECT_THAT(SecondTerminal("uts", 42, CLONE_NEWUTS),
              ElementsAre("readlink /proc/42/ns/uts", "cat /proc/42/uid_map",
                          "bazel run //lessons:setns -- /proc/42/ns/uts",
                          "nsenter --target 42 --uts"));
  EXPECT_THAT(
      SecondTerminal("example", 42, CLONE_NEWNS | CLONE_NEWUSER),
      ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/user",
                  "cat /proc/42/uid_map",
                  "nsenter --target 42 --mount --user --preserve-credentials"));
}

}  // namespace
}  // namespace steps
