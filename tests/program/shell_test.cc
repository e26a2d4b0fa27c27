#include "common/program/shell.h"

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
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A process that is inside: in namespaces of its own, at a checkpoint.
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

TEST(RunShell, JoinsAPidNamespaceAndOthersWithIt) {
  const int flags = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNS;
  LessonWithShell lesson("readlink /proc/self/ns/uts; exit\n", flags);
  EXPECT_EQ(lesson.line(), lesson.link());
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

// A shell in a PID namespace, on a terminal. The exit status says whether the
// terminal is this process's again when the shell has ended.
int ShellInPidNamespace() {
  EnterUserNamespaceAsRoot();
  Child inside([](Line& line) { line.Checkpoint(); });
  Check(inside.Started(clone(Child::Main, inside.stack_top(),
                             CLONE_NEWPID | SIGCHLD, &inside)),
        "clone(CLONE_NEWPID | SIGCHLD)");
  RunShell(inside.pid(), CLONE_NEWPID, "prompt ");
  inside.Finish();
  return tcgetpgrp(STDIN_FILENO) == getpgrp() ? EXIT_SUCCESS : EXIT_FAILURE;
}

TEST(RunShell, HasJobControlInAPidNamespace) {
  Terminal terminal({.function = ShellInPidNamespace});
  EXPECT_THAT(terminal.ReadTo("prompt "), Not(HasSubstr("job control")));
  terminal.Type("echo number $$\n");
  terminal.ReadTo("\nnumber 2\r\n");
  // Ctrl-Z stops the job, and not the shell.
  terminal.Type("(echo begun; sleep 1000)\n");
  terminal.ReadTo("\nbegun");
  terminal.Type("\x1a");
  terminal.ReadTo("Stopped");
  // The first time bash only warns of the job.
  terminal.Type("exit\nexit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(RunShell, GivesTheTerminalBack) {
  Terminal terminal({.function = ShellInPidNamespace});
  terminal.ReadTo("prompt ");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), ElementsAre());
}

// What a program does that is nothing but the command.
Result RunIt(const std::vector<std::string>& command, bool in_child) {
  return RunCommand({.function = [=] {
    return in_child ? AwaitCommand(command, "") : BecomeCommand(command, "");
  }});
}

TEST(BecomeCommand, GivesTheExitStatusOfAShell) {
  for (const bool in_child : {false, true}) {
    const Result result =
        RunIt({"sh", "-c", "echo \"$0\"; exit 5", "a b"}, in_child);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 5");
    EXPECT_EQ(result.output, "a b\n");

    const Result absent = RunIt({"no-such-command"}, in_child);
    EXPECT_EQ(DescribeStatus(absent.status), "exit status 127");
    EXPECT_EQ(absent.errors, "no-such-command: there is no such command\n");

    const Result folder = RunIt({"/"}, in_child);
    EXPECT_EQ(DescribeStatus(folder.status), "exit status 126");
    EXPECT_EQ(folder.errors, "/: cannot be run: Permission denied (EACCES)\n");
  }
}

TEST(BecomeCommand, IsAShellWhenThereIsNone) {
  for (const bool in_child : {false, true}) {
    Terminal terminal({.function = [=] {
      return in_child ? AwaitCommand({}, "[there] ")
                      : BecomeCommand({}, "[there] ");
    }});
    terminal.ReadTo("[there] ");
    terminal.Type("exit 6\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 6");
  }
}

TEST(AwaitCommand, TellsOfTheSignalThatKilledTheCommand) {
  const Result result = RunIt({"sh", "-c", "kill -TERM $$"}, true);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 143");
}

TEST(AwaitCommand, LeavesCtrlCToTheCommand) {
  Terminal terminal({.function = [] {
    return AwaitCommand(
        {"sh", "-c", "trap 'exit 9' INT; echo ready; read -r line"}, "");
  }});
  terminal.ReadTo("ready");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 9");
}

TEST(AwaitCommand, GivesTheTerminalBackAfterAShellInAPidNamespace) {
  Terminal terminal({.function = [] {
    EnterUserNamespaceAsRoot();
    Inside inside(CLONE_NEWPID);
    const Descriptor target =
        Open(fmt::format("/proc/{}/ns/pid", inside.child().pid()), O_RDONLY);
    Check(setns(target.get(), 0), "setns({}, 0)", target.get());
    const int status = AwaitCommand({}, "[there] ");
    return tcgetpgrp(STDIN_FILENO) == getpgrp() ? status : EXIT_FAILURE;
  }});
  terminal.ReadTo("[there] ");
  terminal.Type("exit 6\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 6");
}

TEST(AwaitCommand, EndsWithItsParent) {
  Terminal terminal({.function = [] {
    return AwaitCommand({"sh", "-c", "cat"}, "");
  }});
  terminal.Type("here\n");
  terminal.ReadTo("here\r\nhere");
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), ElementsAre());
}

TEST(SecondTerminal, NamesWhatDiffers) {
  EXPECT_THAT(SecondTerminal("mount", 42, CLONE_NEWNS | CLONE_NEWPID),
              ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/pid",
                          "cat /proc/42/uid_map",
                          "bazel run //lessons:setns -- /proc/42/ns/mnt "
                          "/proc/42/ns/pid",
                          "nsenter --target 42 --mount --pid"));
  EXPECT_THAT(SecondTerminal("uts", 42, CLONE_NEWUTS),
              ElementsAre("readlink /proc/42/ns/uts", "cat /proc/42/uid_map",
                          "bazel run //lessons:setns -- /proc/42/ns/uts",
                          "nsenter --target 42 --uts"));
  EXPECT_THAT(
      SecondTerminal("example", 42, CLONE_NEWNS | CLONE_NEWUSER),
      ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/user",
                  "cat /proc/42/uid_map",
                  "nsenter --target 42 --mount --user --preserve-credentials"));
  int all = 0;
  for (const Kind& kind : Kinds()) all |= kind.flag;
  EXPECT_THAT(
      SecondTerminal("example", 4194304, all),
      ElementsAre("(cd /proc/4194304/ns && readlink mnt uts ipc pid net user "
                  "cgroup time)",
                  "cat /proc/4194304/uid_map",
                  "nsenter --target 4194304 --all --preserve-credentials"));
}

}  // namespace
}  // namespace steps
