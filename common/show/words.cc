#include "common/show/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <clocale>
#include <cwchar>

namespace steps {
namespace {

// The character with which a text begins, or its first byte where there is no
// printable one: a control character has no width in columns.
struct Character {
  std::size_t bytes = 1;
  std::size_t columns = 1;
  bool printable = false;
};

Character First(std::string_view text) {
  // Without this locale, what is not ASCII is not printable.
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t before = uselocale(utf8);
  std::mbstate_t state = {};
  wchar_t character = L'\0';
  const std::size_t bytes =
      std::mbrtowc(&character, text.data(), text.size(), &state);
  const int columns = wcwidth(character);
  uselocale(before);
  if (bytes == 0 || bytes > text.size() || columns < 0) return {};
  return {bytes, static_cast<std::size_t>(columns), true};
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
    const Character first = First(text);
    safe += first.printable
                ? std::string(text.substr(0, first.bytes))
                : fmt::format("\\x{:02x}",
                              static_cast<unsigned char>(text.front()));
    text.remove_prefix(first.bytes);
  }
  return safe;
}

std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character first = First(text);
    width += first.columns;
    text.remove_prefix(first.bytes);
  }
  return width;
}

std::string_view Head(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  while (end < text.size()) {
    const Character next = First(text.substr(end));
    if (next.columns > width) break;
    width -= next.columns;
    end += next.bytes;
  }
  return text.substr(0, end);
}

std::string Shorten(std::string_view text, std::size_t width) {
  if (Width(text) <= width) return std::string(text);
  const std::string_view head = Head(text, width / 2);
  std::string_view tail = text.substr(head.size());
  std::size_t left = Width(tail);
  while (Width(head) + 1 + left > width) {
    const Character first = First(tail);
    left -= first.columns;
    tail.remove_prefix(first.bytes);
  }
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
