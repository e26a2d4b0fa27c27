#include <fmt/format.h>
#include <fmt/ranges.h>

#include <regex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/show/show.h"

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
  const std::string text = Printable(sentence);
  std::string prose;
  // What stands before each piece of code, and the piece, in turn.
  std::sregex_token_iterator part(text.begin(), text.end(), code, {-1, 0});
  for (bool is_code = false; part != std::sregex_token_iterator(); ++part) {
    prose += is_code ? part->str() : Escape(*part);
    is_code = !is_code;
  }
  return prose;
}

std::string Paragraph(const std::string& sentence) {
  return "\n" + Prose(sentence) + "\n";
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
  return fmt::format("\n## {}. {}\n", step.number, Prose(step.title)) +
         (step.what.empty() ? "" : Paragraph(step.what));
}

std::string Markdown(const Table& table) {
  std::string text = "\n" + Row(table.header) + "|";
  for (std::size_t i = 0; i < table.header.size(); ++i) text += "---|";
  text += "\n";
  for (const std::vector<std::string>& row : table.rows) text += Row(row);
  return text;
}

std::string Markdown(const Item& item) {
  if (item.word.empty()) return Paragraph(item.text);
  return fmt::format("\n- **{}** {}\n", item.word, Prose(Sentence(item)));
}

std::string Markdown(const Verdict& verdict) {
  if (!verdict.error.empty()) {
    return fmt::format("\n```text\n{}```\n", Report(verdict));
  }
  const std::string count = Count(verdict);
  return count.empty() ? "" : fmt::format("\n**{}**\n", count);
}

std::string Markdown(const Hint& hint) {
  return fmt::format("{}\n```sh\n{}\n```\n", Paragraph(hint.text),
                     fmt::join(hint.commands, "\n"));
}

// What is shown as on a terminal.
template <typename Other>
std::string Markdown(const Other&) {
  return "";
}

}  // namespace

Renderer MakeMarkdownRenderer() {
  return [text_of = MakeTextRenderer(false),
          in_block = false](Event event) mutable {
    Code code;
    if (auto* step = std::get_if<Step>(&event)) std::swap(code, step->code);
    std::string block = text_of(event);
    std::string text =
        std::visit([](const auto& one) { return Markdown(one); }, event);
    if (!text.empty() || block.empty()) {
      if (std::exchange(in_block, false)) text.insert(0, "```\n");
      block = text_of(code);
    }
    // Neighbours are in one block.
    if (!block.empty() && !std::exchange(in_block, true)) {
      text += block.starts_with('\n') ? "\n```text" : "\n```text\n";
    }
    return text + block;
  };
}

}  // namespace steps
