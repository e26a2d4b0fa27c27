#include "common/show/stepper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/lesson/event.h"
#include "common/show/printable.h"

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

bool CanErase() {
  const char* term = getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

// Whether there is a line to read within the limit.
bool HasLine(std::optional<std::chrono::milliseconds> limit) {
  pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return MUST(poll, &keyboard, 1,
              limit ? static_cast<int>(limit->count()) : -1) > 0;
}

// A line with its newline, or without: Ctrl-D ended it, or the terminal is
// gone.
std::string ReadLine() {
  std::array<char, 4096> line = {};  // What a terminal's line holds.
  const ssize_t size = read(STDIN_FILENO, line.data(), line.size());
  return {line.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

}  // namespace

Stepper::Stepper(int fd, Options options)
    : fd_(fd),
      options_(std::move(options)),
      text_(MakeTextRenderer(options_.color)) {}

void Stepper::operator()(const Event& event) {
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
    picked_ = Pause("go on", question->answers.size());
  } else if (std::holds_alternative<Step>(event)) {
    Pause("run this step");
  } else {
    return;
  }
  // What stands above may leave the screen, this not yet.
  used_ = std::min(lines.size(), rows);
}

std::optional<int> Stepper::Pause(std::string_view what, std::size_t answers) {
  used_ = 0;
  while (true) {
    const bool has_inside = options_.has_inside();
    const std::string line = Ask(fmt::format(
        "{}Enter: {}   {}q Enter: quit",
        answers > 0 ? fmt::format("1-{} Enter: guess   ", answers) : "", what,
        has_inside ? "s Enter: a shell inside   " : ""));
    if (line.empty()) return std::nullopt;
    if (line == "q") throw Quit();
    if (line == "s" && has_inside) options_.run_shell();
    for (std::size_t answer = 1; answer <= answers; ++answer) {
      if (line == fmt::to_string(answer)) return answer;
    }
  }
}

std::string Stepper::Ask(const std::string& keys) const {
  if (isatty(STDIN_FILENO) == 0 || isatty(fd_) == 0) {
    poll(nullptr, 0, static_cast<int>(options_.pause->count()));
    return "";
  }
  // What was typed ahead has left its echo above: no prompt, nothing to erase.
  const bool is_ahead = HasLine(std::chrono::milliseconds(0));
  if (!is_ahead) {
    // Brackets, and what is typed: a line that wraps could not be erased.
    const std::string prompt = Shorten(keys, SizeOf(fd_).ws_col - 4);
    WriteOutput(fd_, options_.color ? fmt::format("\x1b[7m {} \x1b[0m", prompt)
                                    : fmt::format("[{}]", prompt));
  }
  const bool has_line = is_ahead || HasLine(options_.pause);
  const std::string line = has_line ? ReadLine() : "";
  const bool is_whole = line.ends_with('\n');
  if (!is_ahead && CanErase()) {
    // The echo of Enter has moved the cursor down.
    WriteOutput(fd_, is_whole ? "\x1b[A\r\x1b[K" : "\r\x1b[K");
  } else if (!is_ahead && !is_whole) {
    WriteOutput(fd_, "\n");
  }
  if (has_line && !is_whole) return "q";
  return line.substr(0, line.find('\n'));
}

}  // namespace steps
