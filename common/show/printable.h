#ifndef COMMON_SHOW_PRINTABLE_H_
#define COMMON_SHOW_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace steps {

// Text that may hold anything, as a hostname does, on its way to the reader.

/// `text` as UTF-8 that a terminal does not obey: each byte of a control
/// character, and each that is no UTF-8, becomes "\x1b".
std::string Printable(std::string_view text);

/// Columns of UTF-8 text: every byte but the continuing ones.
std::size_t Width(std::string_view text);

/// The longest beginning of `text` that is no wider than `width`.
std::string_view Head(std::string_view text, std::size_t width);

/// `text`, cut in the middle where it is wider than `width`: "begin…end".
std::string Shorten(std::string_view text, std::size_t width);

}  // namespace steps

#endif  // COMMON_SHOW_PRINTABLE_H_
