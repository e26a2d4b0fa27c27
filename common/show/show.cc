#include "common/show/show.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/show/words.h"

namespace steps {
namespace {

// The screen's size, or a usual one where it is too small or none.
winsize SizeOf(int fd) {
  winsize size = {};
  ioctl(fd, TIOCGWINSZ, &size);
  if (size.ws_row <= 4) size.ws_row = 24;
  if (size.ws_col <= 10) size.ws_col = 80;
  return size;
}

// Whether there is a line to read within so many milliseconds.
bool HasLine(int limit) {
  pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return MUST(poll, &keyboard, 1, limit) > 0;
}

class Stepper {
 public:
  Stepper(int fd, StepperOptions options)
      : fd_(fd),
        options_(std::move(options)),
        text_(MakeTextRenderer(options_.color)) {}

  void operator()(const Event& event) {
    Event shown = event;
    if (auto* answer = std::get_if<Answer>(&shown)) answer->picked = picked_;
    const std::string text = text_(shown);
    const std::vector<std::string_view> lines = Lines(text);
    // The last row is for the keys.
    const std::size_t rows = SizeOf(fd_).ws_row - 1;
    if (used_ > 0 && used_ + lines.size() > rows) Pause("more");
    for (const std::string_view line : lines) {
      if (used_ == rows) Pause("more");
      WriteOutput(fd_, fmt::format("{}\n", line));
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
      if (line == "q") throw Quit();
      if (line == "s" && !where.empty()) options_.run_shell();
      const int answer = line.size() == 1 ? line[0] - '0' : 0;
      if (answer >= 1 && answer <= answers) return answer;
    }
  }

  // The line that is typed at this prompt: empty when the pause is over before,
  // "q" when nothing more can come.
  std::string Ask(const std::string& keys) const {
    if (isatty(STDIN_FILENO) == 0 || isatty(fd_) == 0) {
      poll(nullptr, 0, options_.pause);
      return "";
    }
    // What was typed ahead has left its echo above: no prompt, nothing to
    // erase.
    const bool is_ahead = HasLine(0);
    if (!is_ahead) {
      // Brackets, and what is typed: a line that wraps could not be erased.
      const std::string prompt = Shorten(keys, SizeOf(fd_).ws_col - 4);
      WriteOutput(fd_, options_.color
                           ? fmt::format("\x1b[7m {} \x1b[0m", prompt)
                           : fmt::format("[{}]", prompt));
    }
    std::string line;
    bool entered = false;
    if (is_ahead || HasLine(options_.pause)) {
      entered = std::getline(std::cin, line) && !std::cin.eof();
      if (!entered) line = "q";  // Ctrl-D, or the terminal is gone.
    }
    const char* term = getenv("TERM");
    if (!is_ahead && term != nullptr && std::string_view(term) != "dumb") {
      // The echo of Enter has moved the cursor down.
      WriteOutput(fd_, entered ? "\x1b[A\r\x1b[K" : "\r\x1b[K");
    } else if (!is_ahead && !entered) {
      WriteOutput(fd_, "\n");
    }
    return line;
  }

  int fd_;
  StepperOptions options_;
  Renderer text_;
  std::size_t used_ = 0;  // How many rows there are since the reader went on.
  std::optional<int> picked_;
};

}  // namespace

OutputError::OutputError(int error)
    : std::runtime_error(CallError(error, "cannot write the output").what()),
      error_(error) {}

void WriteOutput(int fd, std::string_view text) {
  try {
    WriteAll(fd, text);
  } catch (const CallError& error) {
    throw OutputError(error.error());
  }
}

Show To(int fd, Renderer renderer) {
  return [fd, renderer = std::move(renderer)](const Event& event) {
    WriteOutput(fd, renderer(event));
  };
}

Show MakeStepper(int fd, StepperOptions options) {
  return Stepper(fd, std::move(options));
}

std::string Report(const std::string& lesson, const Verdict& verdict) {
  std::string text = fmt::format("{}: {}\n", lesson, Printable(verdict.error));
  if (verdict.advice) {
    text += fmt::format("  cause   {}\n  remedy  {}\n", verdict.advice->cause,
                        verdict.advice->remedy);
  }
  return text;
}

}  // namespace steps
