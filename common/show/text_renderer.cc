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
#include "common/show/wording.h"

namespace steps {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kIndent = 5;
constexpr std::size_t kNumber = 4;  // Before a line of code: its number.
constexpr std::size_t kSide = 9;    // The column of "outside".
constexpr std::size_t kProbe = 16;  // The column of "domain name".
constexpr std::size_t kValue = 21;  // The column of "cgroup:[4026531835]".

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

class TextRenderer : public Renderer {
 public:
  TextRenderer(Write write, bool color)
      : write_(std::move(write)), color_(color) {}

  void Render(const Event& event) override {
    if (!std::holds_alternative<Called>(event) &&
        !std::holds_alternative<Shown>(event)) {
      process_.clear();
    }
    std::string text =
        std::visit([this](const auto& one) { return this->Text(one); }, event);
    // A table ends with an empty line, and a step begins with one: the same.
    if (after_empty_line_ && text.starts_with('\n')) text.erase(0, 1);
    after_empty_line_ = text.ends_with("\n\n");
    if (!text.empty()) write_(text);
  }

 private:
  std::string Paint(std::string_view look, std::string_view text) const {
    if (!color_ || look.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", look, text);
  }

  // The name of a process, unless it stands above already.
  std::string Name(const std::string& process) {
    const bool again = std::exchange(process_, process) == process;
    return std::string(kIndent, ' ') + Paint(process == "inside" ? kInside : "",
                                             Pad(again ? "" : process, kSide));
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
    const std::string margin(kNumber - 1, ' ');
    if (!step.what.empty()) text += Hang(margin, margin.size(), step.what);
    return text + Listed(step.code);
  }

  std::string Text(const Code& code) { return Listed(code); }

  // Each line behind its number, and the first of a file below its name.
  std::string Listed(const Code& code) {
    std::string text;
    if (!code.lines.empty() && std::exchange(file_, code.file) != code.file) {
      text = std::string(kNumber, ' ') + Paint(kDim, code.file) + "\n";
    }
    for (const auto& [number, line] : code.lines) {
      text += Hang(Paint(kDim, fmt::format("{:>{}}", number, kNumber - 1)) +
                       (line.empty() ? "" : " "),
                   kNumber, line);
    }
    return text;
  }

  std::string Text(const Question& question) const {
    const std::string indent(kIndent + kSide, ' ');
    std::string text = "\n" + Told("question", kUnknown, question.text);
    int number = 0;
    for (const std::string& answer : question.answers) {
      text += Hang(indent + fmt::format("{}  ", ++number), indent.size() + 3,
                   Printable(answer));
    }
    return text;
  }

  std::string Text(const Answer& answer) const {
    return Told("answer", kGood,
                fmt::format("{}. {}", Found(answer), answer.reason));
  }

  // A word in the column of the sides, and a sentence.
  std::string Told(std::string_view word, std::string_view look,
                   std::string_view sentence) const {
    return Hang(std::string(kIndent, ' ') + Paint(look, Pad(word, kSide)),
                kIndent + kSide, sentence);
  }

  static std::string Text(const Note& note) {
    return Hang(std::string(kIndent, ' '), kIndent, note.text);
  }

  std::string Text(const Called& called) {
    const Call& call = called.call;
    std::string text =
        fmt::format("{} = {}", Printable(call.text), call.result);
    if (call.error != 0) {
      text +=
          fmt::format(" {} ({})", ErrnoName(call.error), strerror(call.error));
    }
    const std::size_t column = kIndent + kSide;
    std::string hung;
    for (const std::string& line : Fold(text, kColumns - column)) {
      hung += hung.empty() ? Name(called.process) : std::string(column, ' ');
      hung += Paint(kCall, line) + "\n";
    }
    return hung;
  }

  std::string Text(const Shown& shown) {
    std::string text;
    for (const Finding& finding : shown.evidence.findings()) {
      const std::string label = Pad(finding.label, kProbe);
      text += Name(shown.process) + label;
      const std::string value = Printable(finding.value);
      const std::size_t width = std::max(kValue, Width(value) + 2);
      const std::size_t column =
          kIndent + kSide + std::max(kProbe, Width(label)) + width;
      if (finding.value.find('\n') != std::string::npos ||
          column + Width(finding.source) > kColumns) {
        text += Paint(kDim, finding.source) + "\n" +
                Block(finding.value, shown.process);
      } else {
        text += Paint(shown.process == "inside" ? kInside : "", value) +
                std::string(width - Width(value), ' ') +
                Paint(kDim, finding.source) + "\n";
      }
    }
    return text;
  }

  // A value that has lines of its own.
  std::string Block(std::string_view value, const std::string& process) const {
    const std::string indent(kIndent + kSide, ' ');
    std::string block;
    while (true) {
      const std::size_t end = std::min(value.find('\n'), value.size());
      for (const std::string& line :
           Fold(Printable(value.substr(0, end)), kColumns - indent.size())) {
        if (!line.empty()) {
          block += indent + Paint(process == "inside" ? kInside : "", line);
        }
        block += "\n";
      }
      if (end == value.size()) return block;
      value.remove_prefix(end + 1);
    }
  }

  std::string Text(const Comparison& comparison) const {
    const Table table = TableOf(comparison);
    Rows rows;
    for (const std::vector<std::string>& row : table.rows) {
      const bool is_private = row.back() == "private";
      const bool changed = row.back() == "changed";
      std::vector<Cell> cells = CellsOf(row);
      if (is_private) cells[2].look = kInside;
      if (changed) cells[3].look = kBad;
      cells.back().look = is_private ? kGood : changed ? kBad : "";
      rows.push_back(std::move(cells));
    }
    return Grid(table.header, rows);
  }

  std::string Text(const Table& table) const {
    Rows rows;
    for (const auto& row : table.rows) rows.push_back(CellsOf(row));
    return Grid(table.header, rows);
  }

  struct Cell {
    std::string text;
    std::string_view look = {};
  };
  using Rows = std::vector<std::vector<Cell>>;

  static std::vector<Cell> CellsOf(const std::vector<std::string>& texts) {
    std::vector<Cell> cells(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      cells[i].text = Printable(texts[i]);
    }
    return cells;
  }

  // Columns as wide as their cells; where a line would be too long, the margin
  // gives way first, then the widest are cut.
  std::string Grid(const std::vector<std::string>& header,
                   const Rows& rows) const {
    std::size_t margin = 2;
    constexpr std::size_t kGap = 2;
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < header.size(); ++column) {
      widths.push_back(Width(header[column]));
      for (const auto& row : rows) {
        widths[column] = std::max(widths[column], Width(row[column].text));
      }
    }
    std::size_t total = margin + kGap * (widths.size() - 1) +
                        std::reduce(widths.begin(), widths.end());
    for (; total > kColumns; --total) {
      --(margin > 0 ? margin : *std::ranges::max_element(widths));
    }

    const auto line = [&](const std::vector<Cell>& row) {
      std::string text(margin, ' ');
      std::size_t missing = 0;  // Blanks that would stand at the end, if any.
      for (std::size_t column = 0; column < row.size(); ++column) {
        const std::string cell = Shorten(row[column].text, widths[column]);
        text += std::string(missing, ' ') + Paint(row[column].look, cell);
        missing = widths[column] + kGap - Width(cell);
      }
      return text + "\n";
    };
    std::vector<Cell> names = CellsOf(header);
    for (Cell& name : names) name.look = kDim;
    std::string text = "\n" + line(names);
    for (const auto& row : rows) text += line(row);
    return text + "\n";
  }

  std::string Text(const Claim& claim) const {
    if (!claim.holds) {
      return Told("skipped", kUnknown,
                  fmt::format("{} ({})", claim.text, Printable(claim.reason)));
    }
    return *claim.holds ? Told("holds", kGood, claim.text)
                        : Told("FAILS", kBad, claim.text);
  }

  std::string Text(const Item& item) const {
    const std::string_view look = !item.good   ? kUnknown
                                  : *item.good ? kGood
                                               : kBad;
    return Told(item.word, look, Printable(item.text));
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

  Write write_;
  bool color_;
  bool after_empty_line_ = false;
  std::string file_;     // Of the code that this step has shown last.
  std::string process_;  // Whose line is the last.
};

}  // namespace

std::unique_ptr<Renderer> MakeTextRenderer(Write write, bool color) {
  return std::make_unique<TextRenderer>(std::move(write), color);
}

}  // namespace steps
