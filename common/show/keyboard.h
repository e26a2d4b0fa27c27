#ifndef COMMON_SHOW_KEYBOARD_H_
#define COMMON_SHOW_KEYBOARD_H_

#include <chrono>
#include <optional>

namespace steps {

/// What ReadKey gives for Ctrl-D, and when nothing more can come.
constexpr char kEndOfKeys = '\x04';

/// The next key pressed on the terminal that is stdin, without Enter behind it
/// and without an echo; nothing when `limit` has passed. Ctrl-C interrupts the
/// foreground, as the terminal has it do. The terminal gets its settings back
/// even when this process is killed. Throws CallError. termios(3).
std::optional<char> ReadKey(std::optional<std::chrono::milliseconds> limit);

}  // namespace steps

#endif  // COMMON_SHOW_KEYBOARD_H_
