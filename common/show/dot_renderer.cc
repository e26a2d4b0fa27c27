#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/namespaces.h"
#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

// The widest texts, in columns.
constexpr std::size_t kTitle = 80;
constexpr std::size_t kFact = 32;

// The first is on every Debian; the second is as wide, and on other systems.
constexpr std::string_view kFont = "DejaVu Sans,Verdana,sans-serif";

constexpr std::string_view kProcess =
    R"(BORDER="2" STYLE="ROUNDED" BGCOLOR="#dce8f5")";
constexpr std::string_view kShared = R"(BORDER="1")";
constexpr std::string_view kNotShared = R"(BORDER="3" BGCOLOR="#fff2cc")";

// Text for Graphviz's HTML-like labels, which are XML: the two code points of
// UTF-8 that it cannot hold become U+FFFD.
std::string Escape(std::string_view text, std::size_t width = kTitle) {
  std::string valid = Printable(text);
  for (const std::string_view none : {"\uFFFE", "\uFFFF"}) {
    for (std::size_t at = 0;
         (at = valid.find(none, at)) != std::string::npos;) {
      valid.replace(at, none.size(), "\uFFFD");
    }
  }
  std::string escaped;
  for (const char c : Shorten(valid, width)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Row(std::string_view name, std::string_view value) {
  return fmt::format(
      R"(      <TR><TD ALIGN="LEFT">{}</TD><TD ALIGN="LEFT">{}</TD></TR>
)",
      name, value);
}

std::string Box(std::string_view id, std::string_view look,
                std::string_view header, std::string_view rows) {
  return fmt::format(
      R"(    {} [label=<
      <TABLE {} CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">
      <TR><TD COLSPAN="2" BORDER="1" SIDES="B"><B>{}</B></TD></TR>
{}      </TABLE>>]
)",
      id, look, header, rows);
}

// Some of the processes of a drawing, by their places in it.
using Members = std::vector<std::size_t>;

Members MembersOf(const Drawing& drawing, const Kind& kind,
                  const NamespaceId& id) {
  Members members;
  for (std::size_t i = 0; i < drawing.processes.size(); ++i) {
    const auto& namespaces = drawing.processes[i].namespaces;
    const auto found = namespaces.find(kind.flag);
    if (found != namespaces.end() && found->second == id) members.push_back(i);
  }
  return members;
}

// What the namespaces of these members have in common.
std::string Header(const Drawing& drawing, const Members& members) {
  const std::size_t all = drawing.processes.size();
  if (all == 1) return "its namespaces";
  if (members.size() == all)
    return all == 2 ? "shared by both" : "shared by all";
  std::vector<std::string> names;
  for (const std::size_t member : members) {
    names.push_back(Escape(drawing.processes[member].name));
  }
  return members.size() == 1
             ? names.front() + " alone"
             : fmt::format("shared by {}", fmt::join(names, ",<BR/>"));
}

class DotRenderer : public Renderer {
 public:
  explicit DotRenderer(Write write) : write_(std::move(write)) {}

  void Render(const Event& event) override {
    if (const auto* opening = std::get_if<Opening>(&event)) {
      title_ = opening->title;
    } else if (const auto* drawing = std::get_if<Drawing>(&event)) {
      Draw(*drawing);
    } else if (const auto* verdict = std::get_if<Verdict>(&event)) {
      if (verdict->error.empty()) write_(Graph());
    }
  }

 private:
  void Draw(const Drawing& drawing) {
    const std::string id = fmt::format("drawing{}", ++drawings_);
    body_ += fmt::format("  subgraph cluster_{} {{\n    label=<<B>{}</B>>\n",
                         id, Escape(drawing.title));
    std::vector<std::string> processes;
    for (const Drawing::Process& process : drawing.processes) {
      processes.push_back(
          fmt::format("{}_process{}", id, processes.size() + 1));
      std::string rows;
      for (const auto& [name, value] : process.facts) {
        rows += Row(Escape(name, kFact), Escape(value, kFact));
      }
      body_ += Box(processes.back(), kProcess, Escape(process.name), rows);
    }
    std::vector<std::string> boxes;
    std::string lines;
    for (const auto& [members, rows] : Boxes(drawing)) {
      boxes.push_back(fmt::format("{}_namespaces{}", id, boxes.size() + 1));
      body_ += Box(boxes.back(),
                   members.size() == processes.size() ? kShared : kNotShared,
                   Header(drawing, members), rows);
      for (const std::size_t member : members) {
        lines += fmt::format("    {} -- {}\n", processes[member], boxes.back());
      }
    }
    body_ += lines + "  }\n";
    // This drawing stands to the right of the one before.
    if (!boxes_.empty()) {
      body_ += fmt::format("  {{{}}} -- {{{}}} [style=invis]\n",
                           fmt::join(boxes_, " "), fmt::join(processes, " "));
    }
    boxes_ = std::move(boxes);
    for (const Drawing::Process& process : drawing.processes) {
      for (const auto& [flag, namespace_id] : process.namespaces) {
        drawn_.push_back(namespace_id);
      }
    }
  }

  // A box for the namespaces that have the same members, with a row for each.
  std::map<Members, std::string> Boxes(const Drawing& drawing) const {
    std::map<Members, std::string> boxes;
    for (const Kind& kind : Kinds()) {
      for (std::size_t i = 0; i < drawing.processes.size(); ++i) {
        const auto& namespaces = drawing.processes[i].namespaces;
        const auto found = namespaces.find(kind.flag);
        if (found == namespaces.end()) continue;
        const NamespaceId& id = found->second;
        const Members members = MembersOf(drawing, kind, id);
        if (members.front() != i) continue;  // It has its row.
        std::string number = fmt::to_string(id.inode);
        if (!drawn_.empty() && std::ranges::find(drawn_, id) == drawn_.end()) {
          number = fmt::format("<B>{} new</B>", number);
        }
        boxes[members] += Row(kind.name, number);
      }
    }
    return boxes;
  }

  std::string Graph() const {
    return fmt::format(
        R"(graph lesson {{
  label=<{0}>
  graph [fontname="{1}" fontsize=16 labelloc=t rankdir=LR]
  graph [color=gray50 nodesep=0.3 ranksep=0.6 style=rounded]
  node [fontname="{1}" shape=plain]
{2}}}
)",
        Escape(title_), kFont, body_);
  }

  Write write_;
  std::string title_;
  std::string body_;
  int drawings_ = 0;
  std::vector<std::string> boxes_;  // Of the last drawing.
  std::vector<NamespaceId> drawn_;  // In all of them.
};

}  // namespace

std::unique_ptr<Renderer> MakeDotRenderer(Write write) {
  return std::make_unique<DotRenderer>(std::move(write));
}

}  // namespace steps
