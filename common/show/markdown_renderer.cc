#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/show/printable.h"
#include "common/show/renderer.h"
#include "common/show/wording.h"

namespace steps {
namespace {

// Whether there is a letter or a digit at `at`, which may be outside.
bool HasWordAt(std::string_view text, std::size_t at) {
  return at < text.size() &&
         std::isalnum(static_cast<unsigned char>(text[at])) != 0;
}

// Any bytes, for Markdown to show as they are. Each of `markup` is escaped
// wherever it stands.
std::string Escape(std::string_view bytes,
                   std::string_view markup = "\\`*<~$&") {
  const std::string text = Printable(bytes);
  std::string escaped;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const char next = at + 1 < text.size() ? text[at + 1] : ' ';
    if (markup.find(c) != std::string_view::npos ||
        (c == '_' && !(HasWordAt(text, at - 1) && HasWordAt(text, at + 1))) ||
        (c == ']' && (next == '(' || next == ':'))) {
      escaped += '\\';
    }
    escaped += c;
  }
  return escaped;
}

// A lesson's sentence: what it has in backquotes is code.
std::string Prose(std::string_view text) {
  std::string prose;
  while (true) {
    const std::size_t begin = text.find('`');
    const std::size_t end = text.find('`', begin + 1);
    if (begin == std::string_view::npos || end == std::string_view::npos) {
      return prose + Escape(text);
    }
    prose += Escape(text.substr(0, begin));
    prose += text.substr(begin, end + 1 - begin);
    text.remove_prefix(end + 1);
  }
}

// What begins a line, as text: no heading, list, quote or definition.
std::string AtStart(std::string text) {
  const std::size_t number = text.find_first_not_of("0123456789");
  if (number == std::string::npos) return text;
  const std::string_view markup = number == 0 ? "#+-=>[" : ".)";
  if (markup.find(text[number]) != std::string_view::npos) {
    text.insert(number, "\\");
  }
  return text;
}

std::string Row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) {
    row += " " + Escape(cell, "\\`*<~$&|") + " |";
  }
  return row + "\n";
}

std::string Fence(std::string_view language, std::string_view text) {
  return fmt::format("```{}\n{}```\n", language, text);
}

// Where the lines stand, and the lines. Where some are left out, an empty line
// stands for them.
std::string Listed(const Code& code) {
  std::string numbers;
  std::string text;
  for (auto line = code.lines.begin(); line != code.lines.end();) {
    const int first = line->first;
    int last = first;
    const bool has_gap = text.ends_with("\n\n") || line->second.empty();
    if (!text.empty() && !has_gap) text += "\n";
    for (; line != code.lines.end() && line->first <= last + 1; ++line) {
      last = line->first;
      text += line->second + "\n";
    }
    numbers += fmt::format("{}{}", numbers.empty() ? "" : ", ", first);
    if (last > first) numbers += fmt::format("-{}", last);
  }
  return fmt::format("`{}:{}`\n\n", code.file, numbers) + Fence("cpp", text);
}

// What stands together: neighbours of one kind, but for the others, have no
// empty line between them.
enum class Block { kNone, kEvidence, kClaims, kOther };

Block BlockOf(const Event& event) {
  if (std::holds_alternative<Called>(event)) return Block::kEvidence;
  if (std::holds_alternative<Shown>(event)) return Block::kEvidence;
  if (std::holds_alternative<Claim>(event)) return Block::kClaims;
  return Block::kOther;
}

class MarkdownRenderer : public Renderer {
 public:
  explicit MarkdownRenderer(Write write)
      : write_(std::move(write)),
        text_(MakeTextRenderer(
            [this](std::string_view text) { laid_out_ = text; }, false)) {}

  void Render(const Event& event) override {
    if (std::holds_alternative<Drawing>(event)) return;
    // The layout begins anew behind what is no evidence.
    if (BlockOf(event) != Block::kEvidence) text_->Render(event);
    laid_out_.clear();
    const std::string text =
        std::visit([this](const auto& one) { return this->Text(one); }, event);
    if (text.empty() && last_ != Block::kEvidence) return;
    const Block block = BlockOf(event);
    std::string between;
    if (block != last_ || block == Block::kOther) {
      if (last_ == Block::kEvidence) between += "```\n";
      if (last_ != Block::kNone) between += "\n";
      if (block == Block::kEvidence) between += "```text\n";
    }
    write_(between + text);
    last_ = block;
  }

 private:
  static std::string Text(const Opening& opening) {
    return fmt::format("# {}\n\n{}. {}\n", Prose(opening.title),
                       Escape(opening.man_page), Escape(Setting(opening)));
  }

  static std::string Text(const Step& step) {
    std::string text =
        fmt::format("## {}. {}\n", step.number, Prose(step.title));
    if (!step.what.empty()) text += "\n" + AtStart(Prose(step.what)) + "\n";
    return step.code.lines.empty() ? text : text + "\n" + Listed(step.code);
  }

  static std::string Text(const Code& code) { return Listed(code); }

  static std::string Text(const Question& question) {
    std::string text = fmt::format("**Question** {}\n\n", Prose(question.text));
    int number = 0;
    for (const std::string& answer : question.answers) {
      text += fmt::format("{}. {}\n", ++number, AtStart(Escape(answer)));
    }
    return text;
  }

  static std::string Text(const Answer& answer) {
    return fmt::format("**Answer** {}. {}\n", Escape(Found(answer)),
                       Prose(answer.reason));
  }

  static std::string Text(const Note& note) {
    return AtStart(Prose(note.text)) + "\n";
  }

  static std::string Text(const Drawing&) { return ""; }

  static std::string Text(const Item& item) {
    return fmt::format("- **{}** {}\n", item.word, Escape(item.text));
  }

  std::string Text(const Called& called) { return LaidOut(called); }
  std::string Text(const Shown& shown) { return LaidOut(shown); }

  // As on a terminal, without the margin: the first line begins with the side,
  // and those below it stand further in.
  std::string LaidOut(const Event& event) {
    text_->Render(event);
    constexpr std::size_t kMargin = 5;
    std::string text;
    for (std::size_t begin = 0; begin < laid_out_.size();) {
      const std::size_t end = laid_out_.find('\n', begin) + 1;
      text += laid_out_.substr(begin + kMargin, end - begin - kMargin);
      begin = end;
    }
    return text;
  }

  static std::string Text(const Comparison& comparison) {
    return Text(TableOf(comparison));
  }

  static std::string Text(const Table& table) {
    std::string text = Row(table.header) + "|";
    for (std::size_t i = 0; i < table.header.size(); ++i) text += "---|";
    text += "\n";
    for (const std::vector<std::string>& row : table.rows) text += Row(row);
    return text;
  }

  static std::string Text(const Claim& claim) {
    const std::string text = Prose(claim.text);
    if (!claim.holds) {
      return fmt::format("- **skipped** {} ({})\n", text, Escape(claim.reason));
    }
    return fmt::format("- **{}** {}\n", *claim.holds ? "holds" : "FAILS", text);
  }

  static std::string Text(const Lore& lore) {
    return fmt::format("**Remember** {}\n", Prose(lore.text));
  }

  static std::string Text(const Verdict& verdict) {
    if (verdict.error.empty()) {
      const std::string count = Count(verdict);
      return count.empty() ? "" : fmt::format("**{}**\n", count);
    }
    std::string text =
        fmt::format("**{}** {}\n", verdict.outcome, Escape(verdict.error));
    if (verdict.advice) {
      text += fmt::format("\n- **cause** {}\n- **remedy** {}\n",
                          Escape(verdict.advice->cause),
                          Escape(verdict.advice->remedy));
    }
    return text;
  }

  static std::string Text(const Hint& hint) {
    std::string text = AtStart(Prose(hint.text)) + "\n";
    if (hint.commands.empty()) return text;
    std::string commands;
    for (const std::string& command : hint.commands) commands += command + "\n";
    return text + "\n" + Fence("sh", commands);
  }

  Write write_;
  std::string laid_out_;            // What `text_` has written last.
  std::unique_ptr<Renderer> text_;  // For calls and evidence.
  Block last_ = Block::kNone;
};

}  // namespace

std::unique_ptr<Renderer> MakeMarkdownRenderer(Write write) {
  return std::make_unique<MarkdownRenderer>(std::move(write));
}

}  // namespace steps
