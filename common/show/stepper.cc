#include "common/show/stepper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <variant>

#include "common/lesson/event.h"
#include "common/show/keyboard.h"
#include "common/show/printable.h"

namespace steps {
namespace {

// How many rows of text the screen has room for, above the line of the keys.
std::size_t Rows(int fd) {
  constexpr std::size_t kUsual = 24;
  winsize size = {};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 4;
  return (known ? size.ws_row : kUsual) - 1;
}

// How many columns that line has: one that wraps could not be erased.
std::size_t Columns(int fd) {
  constexpr std::size_t kUsual = 80;
  winsize size = {};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 10;
  return (known ? size.ws_col : kUsual) - 1;
}

// The first `rows` lines of `text`.
std::string_view FirstRows(std::string_view text, std::size_t rows) {
  std::size_t end = 0;
  for (; rows > 0 && end < text.size(); --rows) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

bool CanErase() {
  const char* term = getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

Stepper::Stepper(int fd, Options options)
    : fd_(fd),
      options_(std::move(options)),
      text_(MakeTextRenderer([this](std::string_view text) { Page(text); },
                             options_.color)) {}

void Stepper::Render(const Event& event) {
  if (const auto* answer = std::get_if<Answer>(&event)) {
    Answer own = *answer;
    own.picked = picked_;
    text_->Render(own);
    return;
  }
  text_->Render(event);
  if (std::holds_alternative<Step>(event)) {
    Pause("run this step");
    used_ = block_;  // What stands above may leave the screen, this not yet.
  } else if (const auto* question = std::get_if<Question>(&event)) {
    picked_ = Pause("go on", static_cast<int>(question->answers.size()));
    used_ = block_;
  }
}

void Stepper::Page(std::string_view text) {
  const std::size_t rows = Rows(fd_);
  block_ = std::count(text.begin(), text.end(), '\n');
  if (used_ > 0 && used_ + block_ > rows) Pause("more");
  for (; block_ > rows; block_ -= rows) {
    const std::string_view head = FirstRows(text, rows);
    WriteOutput(fd_, head);
    text.remove_prefix(head.size());
    Pause("more");
  }
  WriteOutput(fd_, text);
  used_ += block_;
}

std::optional<int> Stepper::Pause(const std::string& what, int answers) {
  used_ = 0;
  if (!options_.keys) {
    poll(nullptr, 0, static_cast<int>(options_.pause->count()));
    return std::nullopt;
  }
  while (true) {
    const bool has_inside = options_.has_inside();
    std::string keys =
        answers > 0 ? fmt::format("1-{}: guess   ", answers) : "";
    keys += fmt::format("Enter: {}   ", what);
    if (has_inside) keys += "s: a shell inside   ";
    keys += "q: quit";
    keys = Shorten(keys, Columns(fd_) - 2);
    WriteOutput(fd_, options_.color ? fmt::format("\x1b[7m {} \x1b[0m", keys)
                                    : fmt::format("[{}]", keys));
    const std::optional<char> key = NextKey();
    WriteOutput(fd_, CanErase() ? "\r\x1b[K" : "\n");

    if (!key || key == '\n') return std::nullopt;
    if (key == 'q') throw Quit();
    if (key == kEndOfKeys) throw Quit();
    if (key == 's' && has_inside) options_.run_shell();
    const int digit = *key - '0';
    if (digit >= 1 && digit <= answers) {
      // Who is used to it presses Enter behind every key.
      ahead_ = ReadKey(std::chrono::milliseconds(0));
      if (ahead_ == '\n') ahead_.reset();
      return digit;
    }
  }
}

std::optional<char> Stepper::NextKey() {
  if (ahead_) return std::exchange(ahead_, std::nullopt);
  return ReadKey(options_.pause);
}

}  // namespace steps
