#include "common/program/shell.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Process CloneInside(int flags) {
  return Process::Quiet().Clone("inside", flags);
}

// A lesson whose shell reads `input` and what is typed later, and has printed
// its first line. Root in a user namespace, whoever runs the test.
class LessonWithShell {
 public:
  explicit LessonWithShell(const std::string& input, int flags = CLONE_NEWUTS)
      : typed_(Pipe()), printed_(Pipe()), program_({.function = [this, flags] {
          EnterUserNamespaceAsRoot();
          const Process inside = CloneInside(flags);
          const std::string link = fmt::format(
              "{}\n", ReadLink(fmt::format("/proc/{}/ns/uts", inside.pid())));
          WriteAll(printed_[1].get(), link);
          MUST(dup2, typed_[0].get(), STDIN_FILENO);
          MUST(dup2, printed_[1].get(), STDOUT_FILENO);
          RunShell(inside.pid(), flags, "prompt ");
          return EXIT_SUCCESS;
        }}) {
    printed_[1].Close();
    WriteAll(typed_[1].get(), input);
    link_ = ReadLine();
    line_ = ReadLine();
  }

  pid_t pid() const { return program_.pid(); }
  // The link of the namespace that is to be joined.
  const std::string& link() const { return link_; }
  const std::string& line() const { return line_; }

  // Its end, when this has been typed, and nothing more is.
  std::string End(const std::string& text) {
    WriteAll(typed_[1].get(), text);
    return DescribeStatus(program_.Await().status);
  }

 private:
  static std::array<Descriptor, 2> Pipe() {
    std::array<int, 2> ends = {};
    MUST(pipe2, ends.data(), O_CLOEXEC);
    return {Descriptor(ends[0]), Descriptor(ends[1])};
  }
  std::string ReadLine() const {
    std::string line;
    for (char c = 0; read(printed_[0].get(), &c, 1) == 1 && c != '\n';) {
      line += c;
    }
    return line;
  }

  std::array<Descriptor, 2> typed_;
  std::array<Descriptor, 2> printed_;
  Program program_;
  std::string link_;
  std::string line_;
};

TEST(RunShell, RunsInTheNamespacesOfTheProcess) {
  for (const int flags :
       {CLONE_NEWUTS, CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNS}) {
    LessonWithShell lesson("readlink /proc/self/ns/uts\n", flags);
    EXPECT_EQ(lesson.line(), lesson.link());
    EXPECT_EQ(lesson.End("exit 5\n"), "exit status 0");
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

constexpr const char* kLeavesMuch =
    "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; echo $PPID\n";

TEST(RunShell, EndsWhatTheShellLeavesRunning) {
  LessonWithShell lesson(kLeavesMuch);
  EXPECT_GE(Descendants().size(), 6U);
  EXPECT_EQ(lesson.End("exit\n"), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunShell, EndsWithItsLesson) {
  LessonWithShell lesson(kLeavesMuch);
  kill(lesson.pid(), SIGKILL);
  EXPECT_EQ(lesson.End(""), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunShell, IsTidiedUpByTheLessonWhenItsKeeperIsKilled) {
  LessonWithShell lesson(kLeavesMuch);
  kill(std::stoi(lesson.line()), SIGKILL);
  EXPECT_EQ(lesson.End(""), "exit status 1");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunShell, SaysWhenThereIsNoShell) {
  const Result result = RunCommand({.function = [] {
    EnterUserNamespaceAsRoot();
    const Process inside = CloneInside(CLONE_NEWUTS);
    setenv("PATH", "/nonexistent", 1);
    RunShell(inside.pid(), CLONE_NEWUTS, "");
    return EXIT_SUCCESS;
  }});
  EXPECT_THAT(result.errors, "bash: there is no such command\n");
}

// A shell in a PID namespace, on a terminal. The exit status says whether the
// terminal is this process's again when the shell has ended.
int ShellInPidNamespace() {
  EnterUserNamespaceAsRoot();
  const Process inside = CloneInside(CLONE_NEWPID);
  RunShell(inside.pid(), CLONE_NEWPID, "prompt ");
  return tcgetpgrp(STDIN_FILENO) == getpgrp() ? EXIT_SUCCESS : EXIT_FAILURE;
}

TEST(RunShell, HasJobControlInAPidNamespaceAndGivesTheTerminalBack) {
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
  EXPECT_THAT(Survivors(), IsEmpty());
}

// A command that the program becomes, or awaits as its child.
class CommandTest : public testing::TestWithParam<bool> {
 protected:
  static int Run(const std::vector<std::string>& command) {
    return GetParam() ? AwaitCommand(command, "[there] ")
                      : BecomeCommand(command, "[there] ");
  }
};

INSTANTIATE_TEST_SUITE_P(Awaited, CommandTest, testing::Bool());

TEST_P(CommandTest, GivesTheExitStatusOfAShell) {
  struct Case {
    std::vector<std::string> command;
    int status;
    std::string output;
    std::string errors;
  };
  for (const auto& [command, status, output, errors] : std::vector<Case>{
           {{"sh", "-c", "echo \"$0\"; exit 5", "a b"}, 5, "a b\n", ""},
           {{"no-such-command"},
            127,
            "",
            "no-such-command: there is no such command\n"},
           {{"/"},
            126,
            "",
            "/: cannot be run: Permission denied (EACCES)\n"}}) {
    const Result result =
        RunCommand({.function = [&command = command] { return Run(command); }});
    EXPECT_EQ(ExitStatus(result.status), status);
    EXPECT_EQ(result.output, output);
    EXPECT_EQ(result.errors, errors);
  }
}

// A program of these bytes, which goes with its object.
class ProgramFile {
 public:
  explicit ProgramFile(const std::string& bytes) {
    const Descriptor file(mkstemp(path_.data()));
    WriteAll(file.get(), bytes);
    MUST(fchmod, file.get(), 0755);
  }
  ~ProgramFile() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/shell_test.XXXXXX";
};

TEST_P(CommandTest, NamesTheInterpreterThatIsMissing) {
  // This program, whose loader has another name of the same length.
  std::string binary = ReadFile("/proc/self/exe");
  const std::size_t loader = binary.find("/ld-linux");
  ASSERT_NE(loader, std::string::npos);
  binary.replace(loader, 9, "/no-linux");
  const std::size_t begin = binary.rfind('\0', loader) + 1;
  const ProgramFile program(binary);
  const ProgramFile script("#! /nonexistent/sh -e\necho ran\n");
  const ProgramFile second("#!" + script.path() + "\n");
  for (const auto& [file, missing] :
       std::map<std::string, std::string>{{program.path(), &binary[begin]},
                                          {script.path(), "/nonexistent/sh"},
                                          {second.path(), "/nonexistent/sh"}}) {
    const Result result = RunCommand({.function = [&file = file] {
      setenv("PATH", "/nonexistent::/tmp", 1);
      return Run({file.substr(file.rfind('/') + 1)});
    }});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 127");
    EXPECT_EQ(result.errors,
              fmt::format("{}: its interpreter {} is not there\n",
                          file.substr(file.rfind('/') + 1), missing));
  }
}

TEST_P(CommandTest, KeepsItsStatusWhereStderrIsFull) {
  const Result result = RunCommand({.function = [] {
    MUST(dup2, Open("/dev/full", O_WRONLY).get(), STDERR_FILENO);
    return Run({"no-such-command"});
  }});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 127");
}

TEST_P(CommandTest, IsAShellWhenThereIsNone) {
  Terminal terminal({.function = [] { return Run({}); }});
  terminal.ReadTo("[there] ");
  terminal.Type("exit 6\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 6");
}

TEST(AwaitCommand, TellsOfTheSignalThatKilledTheCommand) {
  const Result result = RunCommand({.function = [] {
    return AwaitCommand({"sh", "-c", "kill -TERM $$"}, "");
  }});
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

TEST_P(CommandTest, GetsASignalThatIsSentToTheToolAlone) {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    Terminal terminal({.function = [] {
      return Run({"sh", "-c",
                  "trap 'exit 8' INT TERM USR1; echo ready; "
                  "while :; do read -r line; done"});
    }});
    terminal.ReadTo("ready");
    ASSERT_EQ(kill(terminal.pid(), signal), 0);
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 8");
  }
}

TEST(AwaitCommand, HasTheCommandInterruptedOnce) {
  Terminal terminal({.function = [] {
    return AwaitCommand({"sh", "-c",
                         "n=0; trap 'n=$((n+1))' INT; echo ready; read -r x; "
                         "read -r x; exit $n"},
                        "");
  }});
  terminal.ReadTo("ready");
  terminal.Type("\x03");
  terminal.ReadTo("^C");
  terminal.Type("\n\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 1");
}

TEST(AwaitCommand, GivesTheTerminalBackAfterAShellInAPidNamespace) {
  Terminal terminal({.function = [] {
    EnterUserNamespaceAsRoot();
    const Process inside = CloneInside(CLONE_NEWPID);
    const Descriptor target =
        Open(fmt::format("/proc/{}/ns/pid", inside.pid()), O_RDONLY);
    MUST(setns, target.get(), 0);
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
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(SecondTerminal, NamesWhatDiffers) {
  const std::string setns = "bazel run //lessons:setns -- ";
  EXPECT_THAT(SecondTerminal("mount", 42, CLONE_NEWNS | CLONE_NEWPID),
              ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/pid",
                          "cat /proc/42/uid_map",
                          setns + "/proc/42/ns/mnt /proc/42/ns/pid",
                          "nsenter --target 42 --mount --pid"));
  EXPECT_THAT(
      SecondTerminal("example", 42, CLONE_NEWNS | CLONE_NEWUSER),
      ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/user",
                  "cat /proc/42/uid_map",
                  "nsenter --target 42 --mount --user --preserve-credentials"));
  EXPECT_THAT(
      SecondTerminal("example", 4194304, AllFlags()),
      ElementsAre("(cd /proc/4194304/ns && readlink mnt uts ipc pid net user "
                  "cgroup time)",
                  "cat /proc/4194304/uid_map",
                  "nsenter --target 4194304 --all --preserve-credentials"));
}

}  // namespace
}  // namespace steps
