#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
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

// An event in Markdown, behind an empty line. What has no form there is empty.
template <typename Other>
std::string Markdown(const Other&) {
  return "";
}

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

std::string Markdown(const Comparison& comparison) {
  return Markdown(TableOf(comparison));
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

class MarkdownRenderer : public Renderer {
 public:
  explicit MarkdownRenderer(Write write)
      : write_(std::move(write)),
        text_(MakeTextRenderer(
            [this](std::string_view text) { on_terminal_ = text; }, false)) {}

  void Render(const Event& event) override {
    const auto* step = std::get_if<Step>(&event);
    if (step != nullptr && !step->code.lines.empty()) {
      Step heading = *step;
      heading.code.lines.clear();
      Render(heading);
      Render(step->code);
      return;
    }
    on_terminal_.clear();
    text_->Render(event);
    std::string text =
        std::visit([](const auto& one) { return Markdown(one); }, event);
    // The rest is shown as on a terminal, neighbours in one block.
    const bool in_block = text.empty() && !on_terminal_.empty();
    if (in_block) text = on_terminal_;
    if (in_block && !in_block_) {
      if (text.starts_with('\n')) text.erase(0, 1);
      text.insert(0, "\n```text\n");
    } else if (in_block_ && !in_block) {
      text.insert(0, "```\n");
    }
    in_block_ = in_block;
    write_(text);
  }

 private:
  Write write_;
  std::unique_ptr<Renderer> text_;
  std::string on_terminal_;  // The last event, as `text_` writes it.
  bool in_block_ = false;
};

}  // namespace

std::unique_ptr<Renderer> MakeMarkdownRenderer(Write write) {
  return std::make_unique<MarkdownRenderer>(std::move(write));
}

}  // namespace steps
