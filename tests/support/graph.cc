#include "tests/support/graph.h"

#include "tests/support/test.h"

namespace steps {
namespace {

struct Box {
  std::string drawing;
  std::string header;
  std::vector<std::pair<std::string, std::string>> rows;
};

}  // namespace

std::map<std::string, Drawn> ReadGraph(const std::string& graph) {
  static const std::regex kDrawing("    label=<<B>(.*)</B>>");
  static const std::regex kNode("    (\\w+) \\[label=<");
  static const std::regex kHeader(".*<B>(.*)</B></TD></TR>");
  static const std::regex kRow(
      " *<TR><TD ALIGN=\"LEFT\">(.*)</TD><TD ALIGN=\"LEFT\">(.*)</TD></TR>");
  static const std::regex kEdge("    (\\w+) -- (\\w+)");
  if (!graph.starts_with("graph lesson {\n") || !graph.ends_with("\n}\n")) {
    throw std::runtime_error("not a graph: " + graph);
  }
  std::map<std::string, Box> boxes;
  std::map<std::string, Drawn> drawn;
  std::string drawing;
  std::string node;
  std::istringstream lines(graph);
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, found, kDrawing)) {
      drawing = found[1];
    } else if (std::regex_match(line, found, kNode)) {
      node = found[1];
      boxes[node].drawing = drawing;
    } else if (std::regex_match(line, found, kRow)) {
      boxes.at(node).rows.emplace_back(found[1], found[2]);
    } else if (std::regex_match(line, found, kHeader)) {
      boxes.at(node).header = found[1];
    } else if (std::regex_match(line, found, kEdge)) {
      const Box& process = boxes.at(found[1]);
      const Box& shared = boxes.at(found[2]);
      Drawn& one = drawn[process.drawing + " " + process.header];
      one.facts.insert(process.rows.begin(), process.rows.end());
      static const std::regex kNew("<B>(.*) new</B>");
      for (const auto& [kind, inode] : shared.rows) {
        std::smatch number;
        const bool is_new = std::regex_match(inode, number, kNew);
        one.namespaces[kind] = is_new ? number[1].str() : inode;
        one.boxes[kind] = shared.header;
        one.is_new[kind] = is_new;
      }
    }
  }
  return drawn;
}

bool HasGraphviz() { return ToolSource("dot") == "dot(1)"; }

}  // namespace steps
