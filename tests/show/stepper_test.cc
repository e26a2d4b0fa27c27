#include <poll.h>

#include "common/lesson/event.h"
#include "common/show/show.h"
#include "tests/support/test.h"

namespace steps {
namespace {

constexpr const char* kKeys = "[Enter: run this step   q Enter: quit]";

// A program that shows `events` step by step, and has an inside where asked.
Command Show(const std::vector<Event>& events, int pause = -1,
             const char* term = "xterm") {
  return {.function = [=] {
    setenv("TERM", term, 1);
    const steps::Show show = MakeStepper(
        STDOUT_FILENO,
        {.pause = pause, .where = [] { return ""; }, .run_shell = {}});
    for (const Event& event : events) show(event);
    return 0;
  }};
}

const std::vector<Event> kTwoSteps = {Step{1, "One", ""}, Item{"", {}, "first"},
                                      Step{2, "Two", ""},
                                      Item{"", {}, "second"}};

// Text of so many rows.
Item Rows(int rows) {
  return {"", {}, fmt::format("{:{}}", "first", rows * 75 - 6) + " last"};
}

TEST(Stepper, StopsBeforeEachStepUntilEnter) {
  // What stands behind the echo of Enter, where the terminal can erase.
  for (const auto& [term, erased] : std::map<const char*, std::string>{
           {"xterm", "\r\n\x1b[A\r\x1b[K"}, {"dumb", "\r\n"}}) {
    Terminal terminal(Show(kTwoSteps, -1, term));
    EXPECT_THAT(terminal.ReadTo(kKeys),
                AllOf(HasSubstr("1  One"), Not(HasSubstr("first"))));
    terminal.Type("\n");
    EXPECT_THAT(terminal.ReadTo(kKeys),
                AllOf(StartsWith(erased + "     first\r\n"),
                      HasSubstr("2  Two"), Not(HasSubstr("second"))));
    terminal.Type("\n");
    EXPECT_EQ(terminal.Await(), "exit status 0");
    EXPECT_EQ(terminal.screen().find('\x1b') == std::string::npos,
              erased == "\r\n");
  }
}

TEST(Stepper, DropsWhatWasTypedAhead) {
  Terminal terminal({.function = [show = Show(kTwoSteps).function] {
    WriteAll(STDOUT_FILENO, "ready");
    pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    poll(&keyboard, 1, -1);
    return show();
  }});
  // There is no inside for a shell.
  EXPECT_EQ(
      terminal.Talk(
          {{"ready", "q\n\n"}, {kKeys, "s\n"}, {kKeys, "\n"}, {kKeys, "\n"}}),
      "exit status 0");
}

TEST(Stepper, TellsTheReaderWhetherTheGuessWasRight) {
  for (const auto& [keys, said] : std::map<Words, std::string>{
           {{"2\n"}, "yes, 2: that. It is so.\r\n"},
           {{"1\n"}, "not 1, but 2: that. It is so.\r\n"},
           {{"\n"}, "2: that. It is so.\r\n"},
           {{"0\n", "3\n", "12\n", "2\n"}, "yes, 2: that. It is so.\r\n"}}) {
    Terminal terminal(Show(
        {Question{"What?", {"this", "that"}}, Answer{"that", 2, "It is so."}}));
    for (const std::string& key : keys) {
      terminal.ReadTo("[1-2 Enter: guess   Enter: go on   q Enter: quit]");
      terminal.Type(key);
    }
    EXPECT_EQ(terminal.Talk({{"answer   " + said, ""}}), "exit status 0");
  }
}

TEST(Stepper, QuitsAtTheEndOfTheInputAlsoBehindAnAnswer) {
  for (const char* keys : {"q\n", "\x04", "1\x04\x04"}) {
    Terminal terminal(Show({Question{"What?", {"this"}}, Rows(1)}));
    EXPECT_EQ(terminal.Talk({{" q Enter: quit]", keys}}), "killed by SIGINT");
  }
}

TEST(Stepper, StopsWhenTheScreenIsFull) {
  using Pages = std::vector<int>;  // Rows of each, below the last echo.
  const Step step = {1, "One", ""};
  for (const auto& [events, pages] :
       std::vector<std::pair<std::vector<Event>, Pages>>{
           // The title with its empty line, ten rows and eleven fill the 23.
           {{step, Rows(10), Rows(11), Rows(2)}, {2, 21}},
           {{Rows(50)}, {23, 23}},
           {{Rows(20), Rows(23)}, {20}}}) {
    Terminal terminal(Show(events));
    for (int echo = 0; const int rows : pages) {
      const std::string page = terminal.ReadTo(" q Enter: quit]");
      EXPECT_EQ(std::ranges::count(page, '\n') - echo, rows) << page;
      echo = 1;
      terminal.Type("\n");
    }
    EXPECT_EQ(terminal.Await(), "exit status 0");
    EXPECT_THAT(terminal.screen(), HasSubstr("last"));
  }
}

TEST(Stepper, GoesOnByItselfAfterAPause) {
  Terminal terminal(
      Show({Step{1, "One", ""}, Rows(30), Step{2, "Two", ""}}, 1));
  EXPECT_EQ(terminal.Await(), "exit status 0");
  EXPECT_THAT(terminal.screen(),
              AllOf(HasSubstr("Enter: run this step"), HasSubstr("2  Two")));
}

}  // namespace
}  // namespace steps
