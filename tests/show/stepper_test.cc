#include "common/show/stepper.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/process.h"
#include "common/lesson/event.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kErase = "\r\x1b[K";

// A program that shows `events` step by step, and has an inside where asked.
Command Show(const std::vector<Event>& events, bool has_inside = false,
             std::optional<milliseconds> pause = std::nullopt) {
  return {.function = [=] {
    setenv("TERM", "xterm", 1);
    Stepper stepper(
        STDOUT_FILENO,
        {.keys = isatty(STDIN_FILENO) == 1,
         .pause = pause,
         .has_inside = [=] { return has_inside; },
         .run_shell = [] { WriteOutput(STDOUT_FILENO, "the shell\n"); }});
    try {
      for (const Event& event : events) stepper.Render(event);
    } catch (const Quit&) {
      return 9;
    }
    return 0;
  }};
}

// Text of so many rows.
Note Rows(int rows) {
  return {fmt::format("{:{}}", "first", rows * 75 - 6) + " last"};
}

TEST(Stepper, StopsBeforeEachStepUntilEnter) {
  Terminal terminal(Show(
      {Step{1, "One", "", {}, {}}, Note{"first"}, Step{2, "Two", "", {}, {}}}));
  const std::string first = terminal.ReadTo("[Enter: run this step   q: quit]");
  EXPECT_THAT(first, AllOf(HasSubstr("1  One"), Not(HasSubstr("first"))));
  terminal.Type("\n");
  const std::string second =
      terminal.ReadTo("[Enter: run this step   q: quit]");
  EXPECT_THAT(second, AllOf(HasSubstr(kErase), HasSubstr("first"),
                            HasSubstr("2  Two")));
  terminal.Type("\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST(Stepper, QuitsWithQ) {
  for (const char* keys : {"q", "\n q"}) {
    Terminal terminal(
        Show({Step{1, "One", "", {}, {}}, Step{2, "Two", "", {}, {}}}));
    terminal.Type(keys);
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 9") << keys;
  }
}

TEST(Stepper, RunsAShellWhereThereIsAnInside) {
  Terminal terminal(Show({Step{1, "One", "", {}, {}}}, true));
  terminal.ReadTo("s: a shell inside   q: quit]");
  terminal.Type("s");
  terminal.ReadTo("the shell");
  terminal.ReadTo("s: a shell inside   q: quit]");
  terminal.Type("\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");

  Terminal outside(Show({Step{1, "One", "", {}, {}}}, false));
  outside.Type("sx\n");
  EXPECT_EQ(DescribeStatus(outside.Await()), "exit status 0");
  EXPECT_THAT(outside.screen(), Not(HasSubstr("shell")));
}

// What is said to a reader who presses `keys` at the question.
std::string SaidTo(const std::string& keys) {
  Terminal terminal(
      Show({Question{"What?", {"this", "that"}}, Answer{"that", 2, "It is so."},
            Step{1, "One", "", {}, {}}}));
  terminal.ReadTo("[1-2: guess   Enter: go on   q: quit]");
  terminal.Type(keys);
  terminal.ReadTo("answer   ");
  std::string said = terminal.ReadTo("\r\n");
  terminal.ReadTo("run this step");
  terminal.Type("q");
  terminal.Await();
  return said;
}

TEST(Stepper, TellsTheReaderWhetherTheGuessWasRight) {
  EXPECT_EQ(SaidTo("2"), "yes, 2: that. It is so.\r\n");
  EXPECT_EQ(SaidTo("1"), "not 1, but 2: that. It is so.\r\n");
  EXPECT_EQ(SaidTo("\n"), "2: that. It is so.\r\n");
  EXPECT_EQ(SaidTo("032"), "yes, 2: that. It is so.\r\n")
      << "other digits are no answers";
}

TEST(Stepper, TakesEnterBehindAGuessForThatOfTheGuess) {
  EXPECT_EQ(SaidTo("1\n"), "not 1, but 2: that. It is so.\r\n");
}

// Presses Enter when it is waited for: sooner, the terminal would echo it.
void PressEnter(Terminal& terminal) {
  terminal.AwaitKeys();
  terminal.Type("\n");
}

TEST(Stepper, StopsWhereTheScreenIsFull) {
  Terminal terminal(
      Show({Step{1, "One", "", {}, {}}, Rows(10), Rows(10), Rows(10)}));
  terminal.ReadTo("run this step   q: quit]");
  PressEnter(terminal);
  // The title with its empty line, and two of ten rows, are 22 of 23.
  const std::string page = terminal.ReadTo("[Enter: more   q: quit]");
  EXPECT_EQ(std::count(page.begin(), page.end(), '\n'), 20);
  PressEnter(terminal);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST(Stepper, CutsTheLineOfTheKeysOnANarrowScreen) {
  Command command = Show({Step{1, "One", "", {}, {}}}, true);
  command.function = [show = command.function] {
    const winsize narrow = {
        .ws_row = 24, .ws_col = 30, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(STDOUT_FILENO, TIOCSWINSZ, &narrow);
    return show();
  };
  Terminal terminal(command);
  terminal.ReadTo("\n[");
  const std::string keys = terminal.ReadTo("]");
  EXPECT_THAT(keys, HasSubstr("…"));
  EXPECT_LE(keys.size() - std::string("…").size() + 1, 28U);
  PressEnter(terminal);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST(Stepper, DividesWhatIsLongerThanTheScreen) {
  Terminal terminal(Show({Rows(50)}));
  for (int page = 0; page < 2; ++page) {
    const std::string shown = terminal.ReadTo("[Enter: more   q: quit]");
    EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 23);
    PressEnter(terminal);
  }
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(), HasSubstr("last"));
}

TEST(Stepper, GoesOnByItselfAfterAPause) {
  const std::vector<Event> events = {Step{1, "One", "", {}, {}}, Rows(30),
                                     Step{2, "Two", "", {}, {}}};
  Terminal terminal(Show(events, false, milliseconds(1)));
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(terminal.screen(),
              AllOf(HasSubstr("Enter: run this step"), HasSubstr("2  Two")));
  // Without a keyboard there is none to ask for.
  const Result result = RunCommand(Show(events, false, milliseconds(1)));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("2  Two"), Not(HasSubstr("Enter"))));
}

}  // namespace
}  // namespace steps
