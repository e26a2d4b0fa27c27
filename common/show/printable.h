#ifndef COMMON_SHOW_PRINTABLE_H_
#define COMMON_SHOW_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace steps {

// Text that may hold anything, as a hostname does, on its way to the reader.

/// `text` as UTF-8 that a terminal does not obey: each byte of what is no
/// printable character becomes "\x1b". wcwidth(3).
std::string Printable(std::string_view text);

/// How many columns printable text takes.
std::size_t Width(std::string_view text);

/// The longest beginning of printable text that is no wider than `width`.
std::string_view Head(std::string_view text, std::size_t width);

/// Printable text, cut in the middle where it is wider than `width`:
/// "begin…end".
std::string Shorten(std::string_view text, std::size_t width);

/// The lines of `text`, without their newlines.
std::vector<std::string_view> Lines(std::string_view text);

}  // namespace steps

#endif  // COMMON_SHOW_PRINTABLE_H_
