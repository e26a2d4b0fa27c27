#include <fmt/format.h>

#include <algorithm>
#include <clocale>
#include <cwchar>

#include "common/show/show.h"

namespace steps {
namespace {

// A character, or a byte where there is no printable one.
struct Character {
  std::string_view bytes;
  std::size_t columns;
  bool printable;
};

// Takes the first from `text`, which is not empty.
Character Take(std::string_view& text) {
  // Without this locale, what is not ASCII is not printable.
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t before = uselocale(utf8);
  std::mbstate_t state = {};
  wchar_t character = L'\0';
  std::size_t size = std::mbrtowc(&character, text.data(), text.size(), &state);
  const int columns = wcwidth(character);
  uselocale(before);
  const bool printable = size != 0 && size <= text.size() && columns >= 0;
  if (!printable) size = 1;
  const std::string_view bytes = text.substr(0, size);
  text.remove_prefix(size);
  return {bytes, printable ? static_cast<std::size_t>(columns) : 1, printable};
}

}  // namespace

std::string Setting(const Opening& opening) {
  std::string as = fmt::format("as uid {}", opening.uid);
  if (opening.privilege == "root") {
    as = opening.uid == 0 ? "as root" : as + " with capabilities";
  } else if (opening.privilege == "user namespace") {
    as += ", root in a new user namespace";
  }
  return fmt::format("Linux {}, {}.", opening.kernel, as);
}

std::string Sentence(const Item& item) {
  if (item.reason.empty()) return item.text;
  return fmt::format("{} ({})", item.text, item.reason);
}

std::string Count(const Verdict& verdict) {
  const int tried = verdict.held + verdict.contradicted;
  if (tried + verdict.skipped == 0) return "";
  std::string text = fmt::format("{} of {} claims hold", verdict.held, tried);
  if (verdict.skipped > 0) text += fmt::format(", {} skipped", verdict.skipped);
  return text + ".";
}

std::string Printable(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const auto [bytes, columns, printable] = Take(text);
    const auto byte = static_cast<unsigned char>(bytes[0]);
    safe += printable ? std::string(bytes) : fmt::format("\\x{:02x}", byte);
  }
  return safe;
}

std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += Take(text).columns;
  return width;
}

std::string_view Head(std::string_view text, std::size_t width) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const Character next = Take(rest);
    if (next.columns > width) return {text.data(), next.bytes.data()};
    width -= next.columns;
  }
  return text;
}

std::string Shorten(std::string_view text, std::size_t width) {
  if (Width(text) <= width) return std::string(text);
  const std::string_view head = Head(text, width / 2);
  std::string_view tail = text.substr(head.size());
  std::size_t whole = Width(text) + 1;
  while (whole > width) whole -= Take(tail).columns;
  return fmt::format("{}…{}", head, tail);
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(lines.back().size() + 1, text.size()));
  }
  return lines;
}

}  // namespace steps
