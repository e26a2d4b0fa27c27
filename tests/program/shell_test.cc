#include "common/program/shell.h"

#include <termios.h>

#include "common/program/command_line.h"
#include "tests/support/test.h"

namespace steps {
namespace {

// Makes this process root in a user namespace, beside one inside.
Process CloneInside(int flags) {
  EnterUserNamespaceAsRoot();
  return Process::Quiet().Clone("inside", flags);
}

int RunShellInside(int flags) {
  const Process inside = CloneInside(flags);
  RunShell(inside.pid(), "prompt ");
  return EXIT_SUCCESS;
}

TEST(RunShell, EndsWhatTheShellLeavesRunning) {
  // The parent of the shell is its keeper.
  for (const auto& [typed, status] : std::map<std::string, std::string>{
           {"kill -HUP $PPID; exit 5\n", "exit status 0"},
           // Not by the SIGHUP of a terminal that goes away, too.
           {"trap '' HUP; kill -KILL $LESSON; sleep 1000\n",
            "killed by SIGKILL"},
           {"kill -KILL $PPID\n", "exit status 1"}}) {
    Terminal terminal({.function = [] {
      setenv("LESSON", fmt::to_string(getpid()).c_str(), 1);
      return RunShellInside(CLONE_NEWUTS);
    }});
    terminal.Type(
        "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &)\n"
        "echo number $((1 + 1))\n");
    terminal.ReadTo("\nnumber 2\r\n");
    EXPECT_GE(Descendants().size(), 6U);
    terminal.Type(typed);
    EXPECT_EQ(terminal.Await(), status) << typed;
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

// In a PID namespace the terminal's process group has no number.
TEST(Shell, HasJobControlInAPidNamespaceAndGivesTheTerminalBack) {
  for (const bool awaited : {false, true}) {
    Terminal terminal({.function = [awaited] {
      if (awaited) {
        const Process inside = CloneInside(CLONE_NEWPID);
        const std::string link = fmt::format("/proc/{}/ns/pid", inside.pid());
        MUST(setns, Open(link, O_RDONLY).get(), 0);
        if (AwaitCommand({}, "prompt ") != 6) return EXIT_FAILURE;
      } else {
        RunShellInside(CLONE_NEWPID);
      }
      return tcgetpgrp(STDIN_FILENO) == getpgrp() ? EXIT_SUCCESS : 7;
    }});
    // Ctrl-Z stops the job, not the shell. At first bash only warns of the job.
    EXPECT_EQ(terminal.Talk({{"prompt ", "echo number $$\n"},
                             {"\nnumber 2\r\n", "(echo begun; sleep 1000)\n"},
                             {"\nbegun", "\x1a"},
                             {"Stopped", "exit\nexit 6\n"}}),
              "exit status 0");
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("job control")));
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

// What a shell like dash finds, which never sets the modes of its terminal:
// those after the interrupted lesson, and its own hold on the foreground.
TEST(RunShell, LeavesASaneTerminalWhenItsLessonIsInterrupted) {
  Terminal reader({.function = [] {
    std::signal(SIGTTOU, SIG_IGN);
    termios before = {};
    termios now = {};
    MUST(tcgetattr, STDIN_FILENO, &before);
    const pid_t lesson = MUST(fork);
    if (lesson == 0) {
      MUST(setpgid, 0, 0);
      MUST(tcsetpgrp, STDIN_FILENO, getpid());
      CLI::App app("", "example");
      _exit(RunProgram("example", app, {}, 1, nullptr, [](const Words&) {
        return RunShellInside(CLONE_NEWUTS);
      }));
    }
    do {  // Until bash reads a line in its own way.
      MUST(tcgetattr, STDIN_FILENO, &now);
    } while ((now.c_lflag & ICANON) != 0);
    kill(lesson, SIGINT);
    int status = 0;
    MUST(waitpid, lesson, &status, 0);
    MUST(tcgetattr, STDIN_FILENO, &now);
    const bool sane = now.c_lflag == before.c_lflag;
    MUST(tcsetpgrp, STDIN_FILENO, getpgrp());
    while (kill(-lesson, 0) == 0) sched_yield();  // Its keeper.
    const bool kept = tcgetpgrp(STDIN_FILENO) == getpgrp();
    WriteAll(STDOUT_FILENO, fmt::format("{}, sane {}, kept {}\n",
                                        DescribeStatus(status), sane, kept));
    return EXIT_SUCCESS;
  }});
  EXPECT_EQ(reader.Await(), "exit status 0");
  EXPECT_THAT(reader.screen(),
              HasSubstr("exit status 130, sane true, kept true\r\n"));
}

// A command that the program becomes, or awaits as its child.
class CommandTest : public testing::TestWithParam<bool> {
 protected:
  static int Run(const Words& command) {
    return GetParam() ? AwaitCommand(command, "[there] ")
                      : BecomeCommand(command, "[there] ");
  }
};

INSTANTIATE_TEST_SUITE_P(Awaited, CommandTest, testing::Bool());

TEST_P(CommandTest, GivesTheExitStatusOfAShell) {
  struct Case {
    Words command;
    int status;
    std::string errors;
    std::string output = "";
  };
  for (const auto& [command, status, errors, output] : std::vector<Case>{
           {{"sh", "-c", "echo \"$0\"; exit 5", "a b"}, 5, "", "a b\n"},
           {{"sh", "-c", "kill -TERM $$"}, 128 + SIGTERM, ""},
           {{"nonesuch"},
            127,
            "nonesuch: there is no such command, or its interpreter is "
            "missing\n"},
           {{"/"}, 126, "/: cannot be run: Permission denied (EACCES)\n"}}) {
    for (const bool full : {false, true}) {
      const Result result = RunCommand({.function = [&, &words = command] {
        if (full) MUST(dup2, Open("/dev/full", O_WRONLY).get(), STDERR_FILENO);
        return Run(words);
      }});
      ExpectExit(result, status, output, full ? "" : errors);
    }
  }
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
    EXPECT_EQ(terminal.Await(), "exit status 8");
  }
}

TEST(AwaitCommand, HasTheCommandInterruptedOnce) {
  // Two signals may become one while the first waits: hence the tries.
  for (int tries = 0; tries < 10; ++tries) {
    Terminal terminal({.function = [] {
      return AwaitCommand({"perl", "-e",
                           "$| = 1; $SIG{INT} = sub { ++$n };"
                           "$SIG{USR1} = sub { $over = 1 };"
                           "print 'ready'; sleep 1 until $over; exit $n"},
                          "");
    }});
    terminal.ReadTo("ready");
    terminal.Type("\x03");
    terminal.ReadTo("^C");
    kill(terminal.pid(), SIGUSR1);  // Passed on behind any SIGINT.
    EXPECT_EQ(terminal.Await(), "exit status 1");
  }
}

TEST(AwaitCommand, EndsWithItsParent) {
  Terminal terminal({.function = [] {
    return AwaitCommand({"sh", "-c", "cat"}, "");
  }});
  terminal.Type("here\n");
  terminal.ReadTo("here\r\nhere");
  kill(terminal.pid(), SIGKILL);
  EXPECT_EQ(terminal.Await(), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(SecondTerminal, NamesWhatDiffers) {
  const std::string setns = "bazel run //lessons:setns -- ";
  EXPECT_THAT(SecondTerminal("mount", 42, CLONE_NEWNS | CLONE_NEWPID),
              ElementsAre("readlink /proc/42/ns/mnt /proc/42/ns/pid",
                          "cat /proc/42/uid_map",
                          setns + "/proc/42/ns/mnt /proc/42/ns/pid",
                          "nsenter --target 42 --mount --pid"));
}

}  // namespace
}  // namespace steps
