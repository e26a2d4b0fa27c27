#ifndef COMMON_SHOW_STEPPER_H_
#define COMMON_SHOW_STEPPER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/show/renderer.h"

namespace steps {

/// The reader has asked for the end.
class Quit {};

/// Shows a lesson as text, and stops before each step, after each question and
/// where the screen is full, until the reader goes on. Render throws Quit, and
/// what the shell throws.
class Stepper : public Renderer {
 public:
  struct Options {
    bool color = false;
    bool keys = false;  // Whether stdin is a terminal, to go on by a key.
    // After this time it goes on by itself.
    std::optional<std::chrono::milliseconds> pause;
    std::function<bool()> has_inside;  // Whether a shell can be run inside,
    std::function<void()> run_shell;   // and how.
  };

  /// Writes to the descriptor `fd`.
  Stepper(int fd, Options options);

  void Render(const Event& event) override;

 private:
  // Writes `text`, not more of it at once than the screen has room for.
  void Page(std::string_view text);

  std::optional<char> NextKey();

  // Waits for a key that goes on: Enter, or a digit up to `answers`, which it
  // gives. `what` says what Enter does.
  std::optional<int> Pause(const std::string& what, int answers = 0);

  int fd_;
  Options options_;
  std::unique_ptr<Renderer> text_;
  std::size_t block_ = 0;  // How many rows the last event has taken,
  std::size_t used_ = 0;   // and all of them since the reader went on.
  std::optional<int> picked_;
  std::optional<char> ahead_;  // A key that was read before its turn.
};

}  // namespace steps

#endif  // COMMON_SHOW_STEPPER_H_
