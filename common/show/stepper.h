#ifndef COMMON_SHOW_STEPPER_H_
#define COMMON_SHOW_STEPPER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/show/renderer.h"

namespace steps {

/// The reader has asked for the end.
class Quit {};

/// Shows a lesson as text, and stops before each step, after each question and
/// when the screen is full, until the reader presses Enter. The terminal keeps
/// its settings: what is typed before Enter is a line as always.
class Stepper {
 public:
  struct Options {
    bool color = false;
    // After this time it goes on by itself: without it, on a terminal only.
    std::optional<std::chrono::milliseconds> pause;
    std::function<bool()> has_inside;  // Whether a shell can be run inside,
    std::function<void()> run_shell;   // and how.
  };

  /// Writes to the descriptor `fd`.
  Stepper(int fd, Options options);

  /// Shows an event. Throws Quit, OutputError, CallError and what the shell
  /// throws.
  void operator()(const Event& event);

 private:
  // Waits for the reader to go on: with Enter, or with the number of an answer,
  // which it gives. `what` says what Enter does.
  std::optional<int> Pause(std::string_view what, std::size_t answers = 0);

  // The line that is typed at this prompt: empty when the pause is over before,
  // "q" when nothing more can come.
  std::string Ask(const std::string& keys) const;

  int fd_;
  Options options_;
  Renderer text_;
  std::size_t used_ = 0;  // How many rows there are since the reader went on.
  std::optional<int> picked_;
};

}  // namespace steps

#endif  // COMMON_SHOW_STEPPER_H_
