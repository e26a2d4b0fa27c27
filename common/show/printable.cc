#include "common/show/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace steps {

namespace {

// From and to.
struct Range {
  unsigned char first;
  unsigned char last;

  bool Has(char c) const {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= first && byte <= last;
  }
};

// How many bytes the printable character has with which `text` begins; 0 where
// it begins with none. The ranges are those of RFC 3629, but for U+0080 to
// U+009F: a terminal may obey those, too.
std::size_t PrintableBytes(std::string_view text) {
  struct Form {
    Range first;
    Range second;
    std::size_t size;
  };
  constexpr std::array kForms = {
      Form{{0xC2, 0xC2}, {0xA0, 0xBF}, 2}, Form{{0xC3, 0xDF}, {0x80, 0xBF}, 2},
      Form{{0xE0, 0xE0}, {0xA0, 0xBF}, 3}, Form{{0xE1, 0xEC}, {0x80, 0xBF}, 3},
      Form{{0xED, 0xED}, {0x80, 0x9F}, 3}, Form{{0xEE, 0xEF}, {0x80, 0xBF}, 3},
      Form{{0xF0, 0xF0}, {0x90, 0xBF}, 4}, Form{{0xF1, 0xF3}, {0x80, 0xBF}, 4},
      Form{{0xF4, 0xF4}, {0x80, 0x8F}, 4}};
  constexpr Range kContinuing = {0x80, 0xBF};
  if (Range{0x20, 0x7E}.Has(text[0])) return 1;
  for (const Form& form : kForms) {
    if (form.first.Has(text[0]) && text.size() >= form.size &&
        form.second.Has(text[1]) &&
        std::ranges::all_of(text.substr(2, form.size - 2),
                            [&](char c) { return kContinuing.Has(c); })) {
      return form.size;
    }
  }
  return 0;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const std::size_t size = PrintableBytes(text);
    if (size == 0) {
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else {
      safe += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return safe;
}

std::size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

std::string_view Head(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  std::size_t columns = 0;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && (text[next] & 0xC0) == 0x80) ++next;
    if (++columns > width) break;
    end = next;
  }
  return text.substr(0, end);
}

std::string Shorten(std::string_view text, std::size_t width) {
  if (Width(text) <= width) return std::string(text);
  const std::size_t head = width / 2;
  const std::size_t skipped =
      Head(text, Width(text) - (width - head - 1)).size();
  return fmt::format("{}…{}", Head(text, head), text.substr(skipped));
}

}  // namespace steps
