#include "common/show/keyboard.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>

#include "common/kernel/process.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A program that says each key, up to 'z'.
int SayKeys() {
  std::optional<char> key = ' ';
  while (key && *key != 'z') {
    fmt::print("ready\n");
    fflush(stdout);
    key = ReadKey(std::nullopt);
    fmt::print("key {}\n", static_cast<int>(*key));
  }
  fflush(stdout);
  return 0;
}

TEST(ReadKey, GivesAKeyWithoutEnterAndWithoutEcho) {
  Terminal terminal({.function = SayKeys});
  terminal.ReadTo("ready");
  terminal.AwaitKeys();
  terminal.Type("x");
  terminal.ReadTo(fmt::format("key {}", int{'x'}));
  terminal.ReadTo("ready");
  terminal.AwaitKeys();
  terminal.Type("\n");
  terminal.ReadTo(fmt::format("key {}", int{'\n'}));
  terminal.ReadTo("ready");
  terminal.AwaitKeys();
  terminal.Type("z");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("x")));
}

TEST(ReadKey, LosesNothingThatIsTypedAhead) {
  Terminal terminal({.function = SayKeys});
  terminal.Type("ab\nz");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  for (const char key : {'a', 'b', '\n', 'z'}) {
    EXPECT_THAT(terminal.screen(), HasSubstr(fmt::format("key {}", int{key})));
  }
}

TEST(ReadKey, GivesNothingWhenTheLimitHasPassed) {
  Terminal terminal({.function = [] {
    return ReadKey(milliseconds(1)).has_value() ? 1 : 0;
  }});
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST(ReadKey, GivesTheEndForCtrlDAndWithoutATerminalToReadFrom) {
  Terminal terminal(
      {.function = [] { return ReadKey(std::nullopt) == kEndOfKeys ? 0 : 1; }});
  terminal.AwaitKeys();
  terminal.Type("\x04");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

// A program that waits for a key, and another that stays, to look at the
// terminal when the first is gone.
int WaitForKeyBeside() {
  const pid_t pid = fork();
  if (pid == 0) {
    ReadKey(std::nullopt);
    _exit(0);
  }
  signal(SIGINT, SIG_IGN);
  fmt::print("pid {}\n", pid);
  fflush(stdout);
  return pause();
}

TEST(ReadKey, GivesTheTerminalBackWhateverEndsTheProgram) {
  for (const int signal : {SIGKILL, SIGTERM, SIGHUP, SIGINT}) {
    Terminal terminal({.function = WaitForKeyBeside});
    terminal.ReadTo("pid ");
    const pid_t pid = std::stoi(terminal.ReadTo("\n"));
    terminal.AwaitKeys();
    kill(pid, signal);
    for (int waited = 0; !terminal.IsUsual() && waited < 10'000; ++waited) {
      usleep(1000);
    }
    EXPECT_TRUE(terminal.IsUsual()) << signal;
    kill(terminal.pid(), SIGKILL);
    terminal.Await();
  }
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(ReadKey, GivesTheTerminalBackWhenItsOwnChildIsKilled) {
  Terminal terminal({.function = [] {
    try {
      ReadKey(std::nullopt);
    } catch (const ProcessError&) {
      return 3;
    }
    return 0;
  }});
  terminal.AwaitKeys();
  kill(ChildrenOf(terminal.pid()).at(0), SIGKILL);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 3");
  EXPECT_TRUE(terminal.IsUsual());
}

TEST(ReadKey, InterruptsTheForegroundWithCtrlC) {
  Terminal terminal({.function = [] {
    ReadKey(std::nullopt);
    return 0;
  }});
  terminal.AwaitKeys();
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGINT");
  EXPECT_TRUE(terminal.IsUsual());
}

}  // namespace
}  // namespace steps
