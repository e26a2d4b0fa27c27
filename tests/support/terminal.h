#ifndef TESTS_SUPPORT_TERMINAL_H_
#define TESTS_SUPPORT_TERMINAL_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/kernel/descriptor.h"
#include "tests/support/program.h"

namespace steps {

/// A program on a terminal of its own, 80 columns wide and 24 rows high, as its
/// user has it.
class Terminal {
 public:
  explicit Terminal(const Command& command);

  pid_t pid() const { return pid_; }

  /// Types on the keyboard: "\x03" is Ctrl-C.
  void Type(std::string_view keys);

  /// Reads until the screen has shown `text` after what was read before, and
  /// gives what it has shown up to there; all of it at the end, when it never
  /// does. Fails the test after a minute.
  std::string ReadTo(std::string_view text);

  /// The same, but nothing when the program ends before.
  std::optional<std::string> ReadToOrEnd(std::string_view text);

  /// Reads to the end, and gives the wait status in words.
  std::string Await();

  /// A conversation: each text that is read to, and what is typed then. Reads
  /// to the end, and gives the wait status in words.
  std::string Talk(
      const std::vector<std::pair<std::string, std::string>>& lines);

  /// Everything that the screen has shown so far.
  const std::string& screen() const { return screen_; }

 private:
  // Reads once; false at the end.
  bool Read();

  Descriptor keyboard_;
  std::string screen_;
  std::size_t read_ = 0;  // Where ReadTo goes on.
  pid_t pid_ = -1;
};

}  // namespace steps

#endif  // TESTS_SUPPORT_TERMINAL_H_
