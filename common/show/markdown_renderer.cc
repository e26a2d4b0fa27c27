#include <fmt/format.h>
#include <fmt/ranges.h>

#include <regex>
#include <string>
#include <variant>
#include <vector>

#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

// Any bytes, for Markdown to show as they are.
std::string Escape(const std::string& bytes) {
  static const std::regex markup(R"([\\`*\[<~$&|]|\b_|_\b)");
  return std::regex_replace(Printable(bytes), markup, "\\$&");
}

// A lesson's sentence: what it has in backquotes is code.
std::string Prose(const std::string& sentence) {
  static const std::regex code("`[^`]*`");
  std::string prose;
  std::string rest = Printable(sentence);
  for (std::smatch found; std::regex_search(rest, found, code);) {
    prose += Escape(found.prefix()) + found.str();
    rest = std::string(found.suffix());
  }
  return prose + Escape(rest);
}

std::string Row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) row += " " + Escape(cell) + " |";
  return row + "\n";
}

// An event in Markdown, behind an empty line.
std::string Markdown(const Opening& opening) {
  return fmt::format("# {}\n\n{}. {}\n", Prose(opening.title),
                     Prose(opening.man_page), Prose(Setting(opening)));
}

std::string Markdown(const Step& step) {
  const std::string title =
      fmt::format("\n## {}. {}\n", step.number, Prose(step.title));
  return step.what.empty() ? title : title + "\n" + Prose(step.what) + "\n";
}

std::string Markdown(const Note& note) {
  return "\n" + Prose(note.text) + "\n";
}

std::string Markdown(const Table& table) {
  std::string text = "\n" + Row(table.header) + "|";
  for (std::size_t i = 0; i < table.header.size(); ++i) text += "---|";
  text += "\n";
  for (const std::vector<std::string>& row : table.rows) text += Row(row);
  return text;
}

std::string Markdown(const Item& item) {
  return fmt::format("\n- **{}** {}\n", item.word, Prose(item.text));
}

std::string Markdown(const Claim& claim) { return Markdown(ItemOf(claim)); }

std::string Markdown(const Verdict& verdict) {
  const std::string count = Count(verdict);
  if (verdict.error.empty()) {
    return count.empty() ? "" : fmt::format("\n**{}**\n", count);
  }
  std::string text = Markdown(Item{verdict.outcome, false, verdict.error});
  if (verdict.advice) {
    text += Markdown(Item{"cause", {}, verdict.advice->cause}) +
            Markdown(Item{"remedy", {}, verdict.advice->remedy});
  }
  return text;
}

std::string Markdown(const Hint& hint) {
  std::string text = "\n" + Prose(hint.text) + "\n";
  if (hint.commands.empty()) return text;
  return text +
         fmt::format("\n```sh\n{}\n```\n", fmt::join(hint.commands, "\n"));
}

class MarkdownRenderer {
 public:
  std::string operator()(const Event& event) {
    const auto* step = std::get_if<Step>(&event);
    if (step != nullptr && !step->code.lines.empty()) {
      Step heading = *step;
      heading.code.lines.clear();
      const std::string text = (*this)(heading);
      return text + (*this)(step->code);
    }
    std::string text = std::visit(
        [](const auto& one) -> std::string {
          if constexpr (requires { Markdown(one); }) return Markdown(one);
          return "";
        },
        event);
    // The rest is shown as on a terminal, neighbours in one block.
    const std::string on_terminal = text_(event);
    const bool in_block = text.empty() && !on_terminal.empty();
    if (in_block) text = on_terminal;
    if (in_block && !in_block_) {
      if (text.starts_with('\n')) text.erase(0, 1);
      text.insert(0, "\n```text\n");
    } else if (in_block_ && !in_block) {
      text.insert(0, "```\n");
    }
    in_block_ = in_block;
    return text;
  }

 private:
  Renderer text_ = MakeTextRenderer(false);
  bool in_block_ = false;
};

}  // namespace

Renderer MakeMarkdownRenderer() { return MarkdownRenderer(); }

}  // namespace steps
