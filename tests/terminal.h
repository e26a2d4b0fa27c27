#ifndef TESTS_TERMINAL_H_
#define TESTS_TERMINAL_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/descriptor.h"
#include "tests/process.h"

namespace steps {

/// A program on a terminal of its own, 80 columns wide, as its user has it.
class Terminal {
 public:
  explicit Terminal(const Command& command);

  pid_t pid() const { return pid_; }

  /// Types on the keyboard: "\x03" is Ctrl-C.
  void Type(std::string_view keys);

  /// Reads until the screen has shown `text` after what was read before, and
  /// gives what it has shown up to there; all of it at the end, when it never
  /// does. Fails the test after ten seconds.
  std::string ReadTo(std::string_view text);

  /// Reads to the end, and gives the wait status.
  int Await();

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

#endif  // TESTS_TERMINAL_H_
