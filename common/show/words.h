#ifndef COMMON_SHOW_WORDS_H_
#define COMMON_SHOW_WORDS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/lesson/event.h"

namespace steps {

// What several renderers say in the same words.

/// Where it runs and as whom: "Linux 6.1.0, as root."
std::string Setting(const Opening& opening);

/// What it says, and why it was skipped.
std::string Sentence(const Item& item);

/// "5 of 6 claims hold, 1 skipped."; empty when there was nothing to judge.
std::string Count(const Verdict& verdict);

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

#endif  // COMMON_SHOW_WORDS_H_
