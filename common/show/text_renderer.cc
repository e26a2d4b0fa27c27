#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kIndent = 5;
constexpr std::size_t kWord = 9;  // The column of "outside" and "holds".
constexpr std::size_t kBehind = kIndent + kWord;
constexpr std::size_t kLabel = 16;  // The column of "domain name".
constexpr std::size_t kValue = 19;  // The column of "cgroup:[4026531835]".

// How a piece of text looks: parameters of the terminal's SGR sequence.
constexpr std::string_view kBold = "1";
constexpr std::string_view kDim = "2";
constexpr std::string_view kInside = "1;36";
constexpr std::string_view kCall = "35";
constexpr std::string_view kGood = "32";
constexpr std::string_view kBad = "1;31";
constexpr std::string_view kUnknown = "33";

std::string Pad(std::string_view text, std::size_t width) {
  std::string padded(text);
  padded.append(width > Width(text) ? width - Width(text) : 0, ' ');
  return padded;
}

// The printable lines of `text`, of at most `width`: broken between words where
// that can be.
std::vector<std::string> Fold(std::string_view text, std::size_t width) {
  const std::string printable = Printable(text);
  std::vector<std::string> lines;
  std::string_view rest = printable;
  while (Width(rest) > width) {
    std::string_view head = Head(rest, width);
    // A space right behind the head is as good a place to break.
    const std::size_t space = rest.rfind(' ', head.size());
    if (space != std::string_view::npos && space > 0)
      head = rest.substr(0, space);
    lines.emplace_back(head);
    rest.remove_prefix(head.size());
    if (rest.starts_with(' ')) rest.remove_prefix(1);
  }
  lines.emplace_back(rest);
  return lines;
}

// What the question came to: "2: vm", or "not 1, but 2: vm".
std::string Found(const Answer& answer) {
  std::string text = fmt::format("none of these: {}", answer.found);
  if (answer.number) text = fmt::format("{}: {}", *answer.number, answer.found);
  if (!answer.picked) return text;
  return answer.picked == answer.number
             ? "yes, " + text
             : fmt::format("not {}, but {}", *answer.picked, text);
}

class TextRenderer {
 public:
  explicit TextRenderer(bool color) : color_(color) {}

  std::string operator()(const Event& event) {
    if (!std::holds_alternative<Called>(event) &&
        !std::holds_alternative<Shown>(event)) {
      process_.clear();
    }
    std::string text =
        std::visit([this](const auto& one) { return this->Text(one); }, event);
    // A table ends with an empty line, and a step begins with one: the same.
    if (after_empty_line_ && text.starts_with('\n')) text.erase(0, 1);
    after_empty_line_ = text.ends_with("\n\n");
    return text;
  }

 private:
  std::string Paint(std::string_view look, std::string_view text) const {
    if (!color_ || look.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", look, text);
  }

  // Text that continues under itself, `first` standing before its first line.
  std::string Hang(const std::string& first, std::size_t column,
                   std::string_view text, std::string_view look = "") const {
    std::string hung;
    for (const std::string& line : Fold(text, kColumns - column)) {
      hung += hung.empty() ? first : std::string(column, ' ');
      hung += Paint(look, line) + "\n";
    }
    return hung;
  }

  // A word in its column, and a sentence.
  std::string Told(std::string_view word, std::string_view look,
                   std::string_view sentence) const {
    return Hang(std::string(kIndent, ' ') + Paint(look, Pad(word, kWord)),
                kBehind, sentence);
  }

  static std::string_view LookOf(const std::string& process) {
    return process == "inside" ? kInside : "";
  }

  // The name of a process, unless it stands above already.
  std::string Name(const std::string& process) {
    const bool again = std::exchange(process_, process) == process;
    return std::string(kIndent, ' ') +
           Paint(LookOf(process), Pad(again ? "" : process, kWord));
  }

  std::string Text(const Opening& opening) const {
    return Paint(kBold, opening.title) +
           fmt::format("{:>{}}\n", opening.man_page,
                       kColumns - Width(opening.title)) +
           Hang("", 0, Setting(opening));
  }

  std::string Text(const Step& step) {
    file_.clear();
    std::string text =
        "\n" + Paint(kBold, fmt::format("{}  {}", step.number, step.title)) +
        "\n";
    if (!step.what.empty()) text += Hang("   ", 3, step.what);
    return text + Text(step.code);
  }

  // Each line behind its number, and the first of a file below its name.
  std::string Text(const Code& code) {
    std::string text;
    if (!code.lines.empty() && std::exchange(file_, code.file) != code.file) {
      text = "    " + Paint(kDim, code.file) + "\n";
    }
    for (const auto& [number, line] : code.lines) {
      text += Hang(
          Paint(kDim, fmt::format("{:>3}", number)) + (line.empty() ? "" : " "),
          4, line);
    }
    return text;
  }

  std::string Text(const Question& question) const {
    std::string text = "\n" + Told("question", kUnknown, question.text);
    int number = 0;
    for (const std::string& answer : question.answers) {
      text += Hang(fmt::format("{:>{}}  ", ++number, kBehind + 1), kBehind + 3,
                   answer);
    }
    return text;
  }

  std::string Text(const Answer& answer) const {
    return Told("answer", kGood,
                fmt::format("{}. {}", Found(answer), answer.reason));
  }

  std::string Text(const Note& note) const {
    return Hang(std::string(kIndent, ' '), kIndent, note.text);
  }

  std::string Text(const Called& called) {
    const Call& call = called.call;
    std::string text = fmt::format("{} = {}", call.text, call.result);
    if (call.error != 0) {
      text +=
          fmt::format(" {} ({})", ErrnoName(call.error), strerror(call.error));
    }
    return Hang(Name(called.process), kBehind, text, kCall);
  }

  std::string Text(const Shown& shown) {
    std::string text;
    for (const Finding& finding : shown.evidence.findings()) {
      text += Name(shown.process) + Text(finding, LookOf(shown.process));
    }
    return text;
  }

  // What stands behind the name of the process. A value that has lines, or is
  // long, stands below its label.
  std::string Text(const Finding& finding, std::string_view look) const {
    const std::string label = Pad(finding.label, kLabel);
    const std::string value = Pad(Printable(finding.value), kValue) + "  ";
    const std::string source = Paint(kDim, finding.source) + "\n";
    const bool has_lines = finding.value.find('\n') != std::string::npos;
    if (!has_lines &&
        kBehind + Width(label) + Width(value) + Width(finding.source) <=
            kColumns) {
      return label + Paint(look, value) + source;
    }
    std::string text = label + source;
    for (const std::string_view line : Lines(finding.value)) {
      text += line.empty()
                  ? "\n"
                  : Hang(std::string(kBehind, ' '), kBehind, line, look);
    }
    return text;
  }

  using Row = std::vector<std::string>;

  // What differs inside, and what has changed outside.
  static std::string_view LookOf(const Row& row, std::size_t column) {
    if (row.back() == "private") {
      return column == 2 ? kInside : column == 4 ? kGood : "";
    }
    return row.back() == "changed" && column >= 3 ? kBad : "";
  }

  // Columns as wide as their cells; where a line would be too long, the margin
  // gives way first, then the widest are cut.
  std::string Text(const Table& table) const {
    std::vector<Row> rows = {table.header};
    rows.insert(rows.end(), table.rows.begin(), table.rows.end());
    std::vector<std::size_t> widths(table.header.size());
    for (Row& row : rows) {
      for (std::size_t column = 0; column < row.size(); ++column) {
        row[column] = Printable(row[column]);
        widths[column] = std::max(widths[column], Width(row[column]));
      }
    }
    constexpr std::size_t kGap = 2;
    std::size_t margin = 2;
    std::size_t total = std::reduce(widths.begin(), widths.end(),
                                    margin + kGap * (widths.size() - 1));
    for (; total > kColumns; --total) {
      --(margin > 0 ? margin : *std::ranges::max_element(widths));
    }

    std::string text = "\n";
    for (const Row& row : rows) {
      std::size_t blanks = margin;
      for (std::size_t column = 0; column < row.size(); ++column) {
        const std::string cell = Shorten(row[column], widths[column]);
        text += std::string(blanks, ' ') +
                Paint(&row == &rows.front() ? kDim : LookOf(row, column), cell);
        blanks = widths[column] - Width(cell) + kGap;
      }
      text += "\n";
    }
    return text + "\n";
  }

  std::string Text(const Claim& claim) const { return Text(ItemOf(claim)); }

  std::string Text(const Item& item) const {
    return Told(item.word,
                !item.good   ? kUnknown
                : *item.good ? kGood
                             : kBad,
                item.text);
  }

  std::string Text(const Verdict& verdict) const {
    if (!verdict.error.empty()) return "\n";
    const std::string count = Count(verdict);
    if (count.empty()) return "";
    return Paint(verdict.contradicted == 0 ? kGood : kBad, count) + "\n";
  }

  std::string Text(const Hint& hint) const {
    // A single command stands behind what is said of it.
    if (hint.commands.size() == 1) {
      return hint.text + " " + Paint(kBold, hint.commands[0]) + "\n";
    }
    std::string text = Hang("", 0, hint.text);
    for (const std::string& command : hint.commands) {
      text += std::string(kIndent, ' ') + Paint(kBold, command) + "\n";
    }
    return text;
  }

  std::string Text(const Lore& lore) const {
    return "\n" + Told("remember", kBold, lore.text);
  }

  static std::string Text(const Drawing&) { return ""; }

  bool color_;
  bool after_empty_line_ = false;
  std::string file_;     // Of the code that this step has shown last.
  std::string process_;  // Whose line is the last.
};

}  // namespace

Renderer MakeTextRenderer(bool color) { return TextRenderer(color); }

}  // namespace steps
