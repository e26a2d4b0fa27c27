#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/show/show.h"

namespace steps {
namespace {

// The first is on every Debian; the second is as wide, and on other systems.
constexpr const char* kFont = "DejaVu Sans,Verdana,sans-serif";

// Any bytes, for Graphviz to show as they are.
std::string Escape(std::string_view bytes) {
  static const std::regex markup(R"([\\{}|<>"])");
  const std::string text =
      std::regex_replace(Shorten(Printable(bytes), 80), markup, R"(\$&)");
  return std::regex_replace(text, std::regex("&"), "&amp;");
}

// The names of processes that are in the same namespaces.
using Members = std::vector<std::string>;

std::string BoxName(const Members& members, std::size_t all) {
  if (all == 1) return "its namespaces";
  if (members.size() == 1) return members[0] + " alone";
  if (members.size() < all) {
    return fmt::format("shared by {}", fmt::join(members, ",\\n"));
  }
  return all == 2 ? "shared by both" : "shared by all";
}

// A line for each namespace, together with those that have the same members.
// `known` are those that have been drawn before.
std::map<Members, std::string> LinesByMembers(const Drawing& drawing,
                                              std::set<NamespaceId>& known) {
  const bool is_first = known.empty();
  std::map<Members, std::string> lines;
  for (const Kind& kind : Kinds()) {
    std::map<NamespaceId, Members> members_of;
    for (const auto& [name, namespaces, facts] : drawing.processes) {
      const auto found = namespaces.find(kind.flag);
      if (found == namespaces.end()) continue;
      members_of[found->second].push_back(Escape(name));
    }
    for (const auto& [id, members] : members_of) {
      const bool is_new = known.insert(id).second && !is_first;
      lines[members] +=
          fmt::format("{} {}{}\\l", id.inode, kind.name, is_new ? " new" : "");
    }
  }
  return lines;
}

std::string Draw(const Drawing& drawing, std::set<NamespaceId>& known) {
  const std::string title = Escape(drawing.title);
  std::string boxes;
  const auto add = [&](std::string_view name, std::string_view look,
                       std::string_view lines) {
    boxes += fmt::format("    \"{0} {1}\" [{2} label=\"{1}|{3}\"]\n", title,
                         name, look, lines);
  };
  for (const auto& [name, namespaces, facts] : drawing.processes) {
    std::string lines;
    for (const std::string& fact : facts) lines += Escape(fact) + "\\l";
    add(Escape(name), R"(shape=Mrecord fillcolor="#dce8f5")", lines);
  }
  const std::size_t all = drawing.processes.size();
  for (const auto& [members, lines] : LinesByMembers(drawing, known)) {
    const std::string name = BoxName(members, all);
    const bool shared = members.size() == all;
    add(name, shared ? "fillcolor=white" : R"(fillcolor="#fff2cc" penwidth=3)",
        lines);
    for (const std::string& one : members) {
      boxes +=
          fmt::format("    \"{0} {1}\" -- \"{0} {2}\"\n", title, one, name);
    }
  }
  constexpr const char* kCluster =
      "  subgraph \"cluster {0}\" {{\n    label=\"{0}\"\n{1}  }}\n";
  return fmt::format(kCluster, title, boxes);
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

}  // namespace

Renderer MakeDotRenderer(bool as_svg) {
  return [=, title = std::string(), drawings = std::string(),
          known = std::set<NamespaceId>()](
             const Event& event) mutable -> std::string {
    if (const auto* opening = std::get_if<Opening>(&event)) {
      title = opening->title;
      // Where it fails, it fails before the lesson has run.
      if (as_svg) ToSvg("graph {}");
    } else if (const auto* drawing = std::get_if<Drawing>(&event)) {
      // Graphviz puts the last one on top.
      drawings.insert(0, Draw(*drawing, known));
    }
    const auto* verdict = std::get_if<Verdict>(&event);
    if (verdict == nullptr || !verdict->error.empty()) return "";
    const std::string graph = fmt::format(R"(strict graph lesson {{
  graph [fontname="{0}" fontsize=16 label="{1}" labelloc=t]
  graph [color=gray50 nodesep=0.3 rankdir=LR ranksep=0.6 style=rounded]
  node [fontname="{0}" shape=record style=filled]
{2}}}
)",
                                          kFont, Escape(title), drawings);
    return as_svg ? ToSvg(graph) : graph;
  };
}

}  // namespace steps
