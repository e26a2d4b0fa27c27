#include "common/show/show.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

class Stepper {
 public:
  Stepper(int fd, StepperOptions options)
      : fd_(fd), options_(std::move(options)) {}

  void operator()(Event event) {
    if (auto* answer = std::get_if<Answer>(&event)) answer->picked = picked_;
    const std::string text = text_(event);
    const std::vector<std::string_view> lines = Lines(text);
    winsize size = {};
    ioctl(fd_, TIOCGWINSZ, &size);
    // The last row is for the keys. Without a size, or with a tiny one: 24.
    const std::size_t rows = (size.ws_row > 4 ? size.ws_row : 24) - 1;
    if (used_ > 0 && used_ + lines.size() > rows) Pause("more");
    for (const std::string_view line : lines) {
      if (used_ == rows) Pause("more");
      WriteAll(fd_, fmt::format("{}\n", line));
      ++used_;
    }
    if (const auto* question = std::get_if<Question>(&event)) {
      picked_ = Pause("go on", static_cast<int>(question->answers.size()));
    } else if (std::holds_alternative<Step>(event)) {
      Pause("run this step");
    } else {
      return;
    }
    // What stands above may leave the screen, this not yet.
    used_ = std::min(lines.size(), rows);
  }

 private:
  // Waits for the reader to go on: with Enter, or with the number of an answer,
  // which it gives. `what` says what Enter does.
  std::optional<int> Pause(std::string_view what, int answers = 0) {
    used_ = 0;
    while (true) {
      const std::string where = options_.where();
      const std::string line = Ask(fmt::format(
          "{}Enter: {}   {}q Enter: quit",
          answers > 0 ? fmt::format("1-{} Enter: guess   ", answers) : "", what,
          where.empty() ? "" : fmt::format("s Enter: a shell {}   ", where)));
      if (line.empty()) return std::nullopt;
      if (line == "q") raise(SIGINT);
      if (line == "s" && !where.empty()) options_.run_shell();
      const int answer = line.size() == 1 ? line[0] - '0' : 0;
      if (answer >= 1 && answer <= answers) return answer;
    }
  }

  // The line that is typed: "" when the pause is over, "q" at the input's end.
  std::string Ask(const std::string& keys) const {
    if (isatty(STDIN_FILENO) == 0 || isatty(fd_) == 0) {
      poll(nullptr, 0, options_.pause);
      return "";
    }
    // What was typed ahead is for nothing that the reader has seen.
    tcflush(STDIN_FILENO, TCIFLUSH);
    WriteAll(fd_, options_.color ? fmt::format("\x1b[7m {} \x1b[0m", keys)
                                 : fmt::format("[{}]", keys));
    pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const bool typed = MUST(poll, &keyboard, 1, options_.pause) > 0;
    std::string line;
    const bool entered =
        typed && std::getline(std::cin, line) && !std::cin.eof();
    const char* term = getenv("TERM");
    if (term != nullptr && std::string_view(term) != "dumb") {
      // The echo of Enter has moved the cursor down.
      WriteAll(fd_, entered ? "\x1b[A\r\x1b[K" : "\r\x1b[K");
    } else if (!entered) {
      WriteAll(fd_, "\n");
    }
    return typed && !entered ? "q" : line;
  }

  int fd_;
  StepperOptions options_;
  Renderer text_ = MakeTextRenderer(options_.color);
  std::size_t used_ = 0;  // How many rows there are since the reader went on.
  std::optional<int> picked_;
};

}  // namespace

Show To(int fd, Renderer renderer) {
  return [fd, renderer = std::move(renderer)](const Event& event) {
    WriteAll(fd, renderer(event));
  };
}

Show MakeStepper(int fd, StepperOptions options) {
  return Stepper(fd, std::move(options));
}

std::string Report(const Verdict& verdict) {
  std::string text = Printable(verdict.error) + "\n";
  if (verdict.advice) {
    text += fmt::format("  cause   {}\n  remedy  {}\n", verdict.advice->cause,
                        verdict.advice->remedy);
  }
  return text;
}

}  // namespace steps
