#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

constexpr std::size_t kWidestFact = 32;  // In columns.

// The first is on every Debian; the second is as wide, and on other systems.
constexpr std::string_view kFont = "DejaVu Sans,Verdana,sans-serif";

constexpr std::string_view kProcess =
    R"(BORDER="2" STYLE="ROUNDED" BGCOLOR="#dce8f5")";
constexpr std::string_view kShared = R"(BORDER="1")";
constexpr std::string_view kNotShared = R"(BORDER="3" BGCOLOR="#fff2cc")";

// Text for Graphviz's HTML-like labels.
std::string Escape(std::string_view text, std::size_t width = 80) {
  std::string escaped;
  for (const char c : Shorten(Printable(text), width)) {
    escaped += c == '&'   ? "&amp;"
               : c == '<' ? "&lt;"
               : c == '>' ? "&gt;"
                          : std::string(1, c);
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

// What the namespaces of these members have in common.
std::string Header(const Drawing& drawing, const Members& members) {
  const std::size_t all = drawing.processes.size();
  if (all == 1) return "its namespaces";
  if (members.size() == all) {
    return all == 2 ? "shared by both" : "shared by all";
  }
  std::string names;
  for (const std::size_t member : members) {
    names += names.empty() ? "" : ",<BR/>";
    names += Escape(drawing.processes[member].name);
  }
  return members.size() == 1 ? names + " alone" : "shared by " + names;
}

std::string ToSvg(std::string_view graph) {
  const Descriptor file(MUST(memfd_create, "graph", MFD_CLOEXEC));
  WriteAll(file.get(), graph);
  const std::string path = fmt::format("/proc/{}/fd/{}", getpid(), file.get());
  const std::string svg = RunTool({"dot", "-Tsvg", path});
  if (svg == "(dot failed)") throw std::runtime_error("dot -Tsvg failed");
  if (IsMissing(svg)) throw CallError(ENOENT, "execvp(\"dot\")");
  return svg + "\n";
}

class DotRenderer {
 public:
  explicit DotRenderer(bool as_svg) : as_svg_(as_svg) {}

  std::string operator()(const Event& event) {
    if (const auto* opening = std::get_if<Opening>(&event)) {
      title_ = opening->title;
      // Where it fails, it fails before the lesson has run.
      if (as_svg_) ToSvg("graph {}");
    } else if (const auto* drawing = std::get_if<Drawing>(&event)) {
      Draw(*drawing);
    } else if (const auto* verdict = std::get_if<Verdict>(&event)) {
      if (verdict->error.empty()) return as_svg_ ? ToSvg(Graph()) : Graph();
    }
    return "";
  }

 private:
  void Draw(const Drawing& drawing) {
    const std::string id = fmt::format("drawing{}", ++drawings_);
    body_ += fmt::format("  subgraph cluster_{} {{\n    label=<<B>{}</B>>\n",
                         id, Escape(drawing.title));
    std::vector<std::string> processes;
    for (const Drawing::Process& process : drawing.processes) {
      std::string rows;
      for (const auto& [name, value] : process.facts) {
        rows += Row(Escape(name, kWidestFact), Escape(value, kWidestFact));
      }
      processes.push_back(
          fmt::format("{}_process{}", id, processes.size() + 1));
      body_ += Box(processes.back(), kProcess, Escape(process.name), rows);
    }
    std::vector<std::string> boxes;
    std::string lines;
    for (const auto& [members, rows] : RowsByMembers(drawing)) {
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
  }

  // A row for each namespace, together with those that have the same members.
  std::map<Members, std::string> RowsByMembers(const Drawing& drawing) {
    std::map<Members, std::string> rows;
    const std::set<NamespaceId> before = drawn_;
    for (const Kind& kind : Kinds()) {
      std::map<NamespaceId, Members> members_of;
      for (std::size_t i = 0; i < drawing.processes.size(); ++i) {
        const auto& namespaces = drawing.processes[i].namespaces;
        const auto found = namespaces.find(kind.flag);
        if (found != namespaces.end()) members_of[found->second].push_back(i);
      }
      for (const auto& [id, members] : members_of) {
        std::string inode = fmt::to_string(id.inode);
        if (!before.empty() && !before.contains(id)) {
          inode = fmt::format("<B>{} new</B>", inode);
        }
        rows[members] += Row(kind.name, inode);
        drawn_.insert(id);
      }
    }
    return rows;
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

  bool as_svg_;
  std::string title_;
  std::string body_;
  int drawings_ = 0;
  std::vector<std::string> boxes_;  // Of the last drawing.
  std::set<NamespaceId> drawn_;     // In all of them.
};

}  // namespace

Renderer MakeDotRenderer() { return DotRenderer(false); }

Renderer MakeSvgRenderer() { return DotRenderer(true); }

}  // namespace steps
