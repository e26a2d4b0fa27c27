#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/show/show.h"

namespace steps {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kIndent = 5;
constexpr std::size_t kWord = 9;  // The column of "outside" and "holds".
constexpr std::size_t kBehind = kIndent + kWord;
constexpr std::size_t kLabel = 16;  // The column of "domain name".
constexpr std::size_t kValue = 19;  // The column of "cgroup:[4026531835]".

// How a piece of text looks: parameters of the terminal's SGR sequence.
using Look = std::string_view;
constexpr Look kBold = "1";
constexpr Look kDim = "2";
constexpr Look kInside = "1;36";
constexpr Look kCall = "35";
constexpr Look kGood = "32";
constexpr Look kBad = "1;31";
constexpr Look kUnknown = "33";

Look LookOf(const std::string& process) {
  return process == "inside" ? kInside : "";
}

Look LookOf(std::optional<bool> good) {
  return !good ? kUnknown : *good ? kGood : kBad;
}

// In a comparison: what differs inside, and what has changed outside.
Look LookOf(const std::vector<std::string>& row, std::size_t column) {
  if (row.back() == "private") {
    return column == 2 ? kInside : column == 4 ? kGood : "";
  }
  return row.back() == "changed" && column >= 3 ? kBad : "";
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
  std::string Paint(Look look, std::string_view text) const {
    const std::size_t blanks =
        std::min(text.find_first_not_of(' '), text.size());
    if (!color_ || look.empty() || blanks == text.size()) {
      return std::string(text);
    }
    return fmt::format("{:{}}\x1b[{}m{}\x1b[0m", "", blanks, look,
                       text.substr(blanks));
  }

  // Text behind `first`, which continues under itself, broken between words.
  std::string Hang(std::string_view first, Look first_look,
                   std::string_view text, Look look = "") const {
    const std::size_t column = first.size();
    if (text.empty()) first = first.substr(0, first.find_last_not_of(' ') + 1);
    std::string hung = Paint(first_look, first);
    std::string rest = Printable(text);
    while (true) {
      std::size_t end = Head(rest, kColumns - column).size();
      if (end == rest.size()) return hung + Paint(look, rest) + "\n";
      // A space right behind the head is as good a place to break.
      const std::size_t space = rest.rfind(' ', end);
      const bool breaks = space != std::string::npos && space > 0;
      if (breaks) end = space;
      hung +=
          Paint(look, rest.substr(0, end)) + "\n" + std::string(column, ' ');
      rest.erase(0, breaks ? end + 1 : end);
    }
  }

  static std::string Word(std::string_view word) {
    return fmt::format("{:{}}{:{}}", "", kIndent, word, kWord);
  }

  // The name of a process, unless it stands above already.
  std::string Name(const std::string& process) {
    const bool again = std::exchange(process_, process) == process;
    return Word(again ? "" : process);
  }

  std::string Text(const Opening& opening) const {
    return Paint(kBold, opening.title) +
           fmt::format("{:>{}}\n", opening.man_page,
                       kColumns - Width(opening.title)) +
           Hang("", "", Setting(opening));
  }

  std::string Text(const Step& step) {
    file_.clear();
    const std::string title = fmt::format("{}  {}", step.number, step.title);
    return "\n" + Paint(kBold, title) + "\n" +
           (step.what.empty() ? "" : Hang("   ", "", step.what)) +
           Text(step.code);
  }

  // Each line behind its number, and the first of a file below its name.
  std::string Text(const Code& code) {
    std::string text;
    if (!code.lines.empty() && std::exchange(file_, code.file) != code.file) {
      text = "    " + Paint(kDim, code.file) + "\n";
    }
    for (const auto& [number, line] : code.lines) {
      text += Hang(fmt::format("{:>3} ", number), kDim, line);
    }
    return text;
  }

  std::string Text(const Question& question) const {
    std::string text = "\n" + Hang(Word("question"), kUnknown, question.text);
    int number = 0;
    for (const std::string& answer : question.answers) {
      text += Hang(fmt::format("{:>{}}  ", ++number, kBehind + 1), "", answer);
    }
    return text;
  }

  // "2: vm", or "not 1, but 2: vm".
  std::string Text(const Answer& answer) const {
    std::string text = "none of these";
    if (answer.number) text = fmt::to_string(*answer.number);
    if (answer.picked) {
      const bool right = answer.picked == answer.number;
      text.insert(
          0, right ? "yes, " : fmt::format("not {}, but ", *answer.picked));
    }
    text += fmt::format(": {}. {}", answer.found, answer.reason);
    return Hang(Word("answer"), kGood, text);
  }

  std::string Text(const Called& called) {
    const Call& call = called.call;
    std::string text = fmt::format("{} = {}", call.text, call.result);
    if (call.error != 0) {
      text +=
          fmt::format(" {} ({})", ErrnoName(call.error), strerror(call.error));
    }
    return Hang(Name(called.process), LookOf(called.process), text, kCall);
  }

  std::string Text(const Shown& shown) {
    const Look look = LookOf(shown.process);
    std::string text;
    for (const auto& [label, value, source] : shown.evidence.findings) {
      text += Paint(look, Name(shown.process)) +
              fmt::format("{:{}}", label, kLabel);
      const std::string cell = fmt::format("{:{}}  ", Printable(value), kValue);
      // A value that has lines, or is long, stands below its label.
      const bool is_short =
          value.find('\n') == std::string::npos &&
          kBehind + kLabel + Width(cell) + Width(source) <= kColumns;
      text += (is_short ? Paint(look, cell) : "") + Paint(kDim, source) + "\n";
      for (const auto line : Lines(is_short ? std::string_view() : value)) {
        text += Hang(Word(""), "", line, look);
      }
    }
    return text;
  }

  // Columns as wide as their cells; where a line would be too long, the margin
  // gives way first, then the widest are cut.
  std::string Text(const Table& table) const {
    std::vector<std::vector<std::string>> rows = table.rows;
    rows.insert(rows.begin(), table.header);
    std::vector<std::size_t> widths(table.header.size());
    for (auto& row : rows) {
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
    for (const auto& row : rows) {
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

  std::string Text(const Item& item) const {
    if (item.word.empty()) {
      return Hang(std::string(kIndent, ' '), "", item.text);
    }
    const bool ends = item.word == "remember";
    return (ends ? "\n" : "") + Hang(Word(item.word),
                                     ends ? kBold : LookOf(item.good),
                                     Sentence(item));
  }

  std::string Text(const Verdict& verdict) const {
    const std::string count = Count(verdict);
    if (count.empty()) return verdict.error.empty() ? "" : "\n";
    return Paint(LookOf(verdict.contradicted == 0), count) + "\n";
  }

  std::string Text(const Hint& hint) const {
    // A single command stands behind what is said of it.
    const std::string between =
        hint.commands.size() == 1 ? " " : "\n" + std::string(kIndent, ' ');
    std::string text = hint.text;
    for (const std::string& command : hint.commands) {
      text += between + Paint(kBold, command);
    }
    return text + "\n";
  }

  static std::string Text(const Drawing&) { return ""; }

  bool color_;
  bool after_empty_line_ = false;
  std::string file_;     // Of the code that this step has shown last.
  std::string process_;  // Whose line is the last.
};

}  // namespace

Renderer MakeTextRenderer(bool color) { return TextRenderer(color); }

Renderer MakeCastRenderer() {
  return [text_of = MakeTextRenderer(true),
          time = 0.0](const Event& event) mutable {
    using Json = nlohmann::ordered_json;
    const auto entry = [&time](const char* kind, const std::string& data) {
      return fmt::format("[{:.3f}, \"{}\", {}]\n", time, kind,
                         Json(data).dump());
    };
    std::string cast;
    std::string text = text_of(event);
    if (const auto* opening = std::get_if<Opening>(&event)) {
      const Json header = {{"version", 2},
                           {"width", 80},
                           {"height", 24},
                           {"title", opening->title},
                           {"env", {{"TERM", "xterm-256color"}}}};
      cast = header.dump() + "\n";
    } else if (const auto* step = std::get_if<Step>(&event)) {
      time += 3;  // Seconds, to read what stands above.
      cast = entry("m", fmt::format("{}. {}", step->number, step->title));
    } else if (const auto* verdict = std::get_if<Verdict>(&event)) {
      // A terminal shows what goes to stderr, too.
      if (!verdict->error.empty()) text += Report(*verdict);
    }
    // Each line at its time, and ended as by a terminal's driver.
    for (const std::string_view line : Lines(text)) {
      cast += entry("o", fmt::format("{}\r\n", line));
      time += 0.15;
    }
    return cast;
  };
}

}  // namespace steps
