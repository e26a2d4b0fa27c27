#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/call_error.h"
#include "common/descriptor.h"
#include "common/renderer.h"

namespace steps {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kIndent = 5;
constexpr std::size_t kSide = 9;    // The column of "outside".
constexpr std::size_t kProbe = 13;  // The column of "domain name".
constexpr std::size_t kValue = 21;  // The column of "cgroup:[4026531835]".

// How a piece of text looks: parameters of the terminal's SGR sequence.
constexpr std::string_view kBold = "1";
constexpr std::string_view kDim = "2";
constexpr std::string_view kInside = "1;36";
constexpr std::string_view kGood = "32";
constexpr std::string_view kBad = "1;31";
constexpr std::string_view kUnknown = "33";

// Terminal columns of UTF-8 text: every byte but the continuing ones.
std::size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

std::string Pad(std::string_view text, std::size_t width) {
  std::string padded(text);
  padded.append(width > Width(text) ? width - Width(text) : 0, ' ');
  return padded;
}

// A hostname may hold any bytes; a terminal must not obey them.
std::string Printable(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      safe += c;
    }
  }
  return safe;
}

// The longest beginning of `text` that is no wider than `width`.
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

// Breaks `text` into lines of at most `width`: between words where it can.
std::vector<std::string> Fold(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (Width(text) > width) {
    std::string_view head = Head(text, width);
    // A space right behind the head is as good a place to break.
    const std::size_t space = text.rfind(' ', head.size());
    if (space != std::string_view::npos && space > 0)
      head = text.substr(0, space);
    lines.emplace_back(head);
    text.remove_prefix(head.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  lines.emplace_back(text);
  return lines;
}

// Cuts `text` in the middle when it is wider than `width`.
std::string Shorten(std::string_view text, std::size_t width) {
  if (Width(text) <= width) return std::string(text);
  const std::size_t head = width / 2;
  const std::size_t skipped =
      Head(text, Width(text) - (width - head - 1)).size();
  return fmt::format("{}…{}", Head(text, head), text.substr(skipped));
}

class TextRenderer : public Renderer {
 public:
  TextRenderer(int fd, bool color) : fd_(fd), color_(color) {}

  void Render(const Event& event) override {
    std::string text =
        std::visit([this](const auto& one) { return Text(one); }, event);
    // A table ends with an empty line, and a step begins with one: the same.
    if (after_empty_line_ && text.starts_with('\n')) text.erase(0, 1);
    after_empty_line_ = text.ends_with("\n\n");
    WriteOutput(fd_, text);
  }

 private:
  std::string Paint(std::string_view look, std::string_view text) const {
    if (!color_ || look.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", look, text);
  }

  std::string Side(const std::string& side) const {
    return std::string(kIndent, ' ') +
           Paint(side == "inside" ? kInside : "", Pad(side, kSide));
  }

  // Text that continues under itself, `first` standing before its first line.
  static std::string Hang(const std::string& first, std::size_t column,
                          std::string_view text) {
    std::string hung;
    for (const std::string& line : Fold(text, kColumns - column)) {
      hung += hung.empty() ? first : std::string(column, ' ');
      hung += line + "\n";
    }
    return hung;
  }

  std::string Text(const Opening& opening) const {
    std::string as = fmt::format("as uid {}", opening.uid);
    if (opening.privilege == "root") {
      as = opening.uid == 0 ? "as root" : as + " with CAP_SYS_ADMIN";
    } else if (opening.privilege == "user namespace") {
      as += ": root in a user namespace of its own";
    }
    return Paint(kBold, opening.title) +
           fmt::format("{:>{}}\n", opening.man_page,
                       kColumns - Width(opening.title)) +
           Hang("", 0, fmt::format("Linux {}, {}.", opening.kernel, as));
  }

  std::string Text(const Step& step) const {
    return "\n" + Paint(kBold, fmt::format("{}  {}", step.number, step.title)) +
           "\n";
  }

  static std::string Text(const Note& note) {
    return Hang(std::string(kIndent, ' '), kIndent, note.text);
  }

  std::string Text(const Call& call) const {
    std::string text =
        fmt::format("{} = {}", Printable(call.text), call.result);
    if (call.error != 0) {
      text +=
          fmt::format(" {} ({})", ErrnoName(call.error), strerror(call.error));
    }
    return Hang(Side(call.side), kIndent + kSide, text);
  }

  // What stands in the line above already is not said again.
  std::string Text(const Shown& shown) const {
    std::string text;
    const Finding* above = nullptr;
    for (const Finding& finding : shown.evidence.findings()) {
      const bool same_probe = above != nullptr && above->probe == finding.probe;
      const std::string probe = Pad(same_probe ? "" : finding.probe, kProbe);
      text += Side(above == nullptr ? shown.side : "") + probe;
      std::string value = Printable(finding.value);
      const std::size_t width = std::max(kValue, Width(value) + 2);
      if (finding.value.find('\n') != std::string::npos ||
          kIndent + kSide + kProbe + width + Width(finding.source) > kColumns) {
        text += Paint(kDim, finding.source) + "\n" + Block(finding.value);
      } else {
        if (same_probe && above->value == finding.value) value.clear();
        text += Pad(value, width) + Paint(kDim, finding.source) + "\n";
      }
      above = &finding;
    }
    return text;
  }

  // A value that has lines of its own.
  static std::string Block(std::string_view value) {
    const std::string indent(kIndent + kSide, ' ');
    std::string block;
    while (true) {
      const std::size_t end = std::min(value.find('\n'), value.size());
      block += Hang(indent, indent.size(), Printable(value.substr(0, end)));
      if (end == value.size()) return block;
      value.remove_prefix(end + 1);
    }
  }

  std::string Text(const Comparison& comparison) const {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string_view> looks;
    for (const Comparison::Row& row : comparison.rows) {
      rows.push_back(
          {row.probe, row.before, row.inside, row.after, row.verdict});
      looks.push_back(row.verdict == "isolated"  ? kGood
                      : row.verdict == "changed" ? kBad
                                                 : "");
    }
    return Grid({"", "outside before", "inside", "outside after", "verdict"},
                rows, looks);
  }

  std::string Text(const Table& table) const {
    return Grid(table.header, table.rows,
                std::vector<std::string_view>(table.rows.size()));
  }

  // Columns as wide as their cells; where a line would be too long, the margin
  // gives way first, then the widest are cut. The last cell of each row looks
  // as `looks` says.
  std::string Grid(const std::vector<std::string>& header,
                   const std::vector<std::vector<std::string>>& rows,
                   const std::vector<std::string_view>& looks) const {
    std::size_t margin = 2;
    constexpr std::size_t kGap = 2;
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < header.size(); ++column) {
      widths.push_back(Width(header[column]));
      for (const auto& row : rows) {
        widths[column] =
            std::max(widths[column], Width(Printable(row[column])));
      }
    }
    std::size_t total = margin + kGap * (widths.size() - 1) +
                        std::reduce(widths.begin(), widths.end());
    for (; total > kColumns; --total) {
      --(margin > 0 ? margin : *std::ranges::max_element(widths));
    }

    const auto line = [&](const std::vector<std::string>& row,
                          std::string_view look) {
      std::string text(margin, ' ');
      for (std::size_t column = 0; column + 1 < row.size(); ++column) {
        text += Pad(Shorten(Printable(row[column]), widths[column]),
                    widths[column] + kGap);
      }
      return text + Paint(look, Shorten(Printable(row.back()), widths.back()));
    };
    std::string text = "\n" + Paint(kDim, line(header, "")) + "\n";
    for (std::size_t row = 0; row < rows.size(); ++row) {
      text += line(rows[row], looks[row]) + "\n";
    }
    return text + "\n";
  }

  std::string Text(const Claim& claim) const {
    const std::string indent(kIndent, ' ');
    const std::size_t column = kIndent + kSide;
    if (!claim.holds) {
      return Hang(indent + Paint(kUnknown, Pad("skipped", kSide)), column,
                  fmt::format("{} ({})", claim.text, claim.reason));
    }
    return Hang(indent + (*claim.holds ? Paint(kGood, Pad("holds", kSide))
                                       : Paint(kBad, Pad("FAILS", kSide))),
                column, claim.text);
  }

  std::string Text(const Verdict& verdict) const {
    if (!verdict.error.empty()) return "\n";
    const int tried = verdict.held + verdict.contradicted;
    if (tried + verdict.skipped == 0) return "";
    std::string text = fmt::format("{} of {} claims hold", verdict.held, tried);
    if (verdict.skipped > 0)
      text += fmt::format(", {} skipped", verdict.skipped);
    return "\n" + Paint(verdict.contradicted == 0 ? kGood : kBad, text + ".") +
           "\n";
  }

  std::string Text(const Hint& hint) const {
    std::string text = Hang("", 0, hint.text);
    for (const std::string& command : hint.commands) {
      text += std::string(kIndent, ' ') + Paint(kBold, command) + "\n";
    }
    return text;
  }

  int fd_;
  bool color_;
  bool after_empty_line_ = false;
};

}  // namespace

std::unique_ptr<Renderer> MakeTextRenderer(int fd, bool color) {
  return std::make_unique<TextRenderer>(fd, color);
}

}  // namespace steps
