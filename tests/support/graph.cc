#include "tests/support/graph.h"

#include "tests/support/test.h"

namespace steps {

std::map<std::string, Drawn> ReadGraph(const std::string& graph) {
  static const std::regex kBox(
      "    \"(.*)\" \\[.* label=\"([^|]*)\\|(.*)\"\\]");
  static const std::regex kEdge("    \"(.*)\" -- \"(.*)\"");
  static const std::regex kNamespace("(\\d+) (\\w+)( new)?");
  if (!graph.starts_with("strict graph lesson {\n") ||
      !graph.ends_with("\n}\n")) {
    throw std::runtime_error("not a graph: " + graph);
  }
  std::map<std::string, std::pair<std::string, Words>> boxes;
  std::map<std::string, Drawn> drawn;
  std::smatch found;
  for (const std::string& line : LinesOf(graph)) {
    if (std::regex_match(line, found, kBox)) {
      boxes[found[1]] = {found[2], Matches(found[3], "(.*?)\\\\l")};
    } else if (std::regex_match(line, found, kEdge)) {
      Drawn& one = drawn[found[1]];
      for (const std::string& fact : boxes.at(found[1]).second) {
        const std::size_t end = fact.find(": ");
        if (end != fact.npos)
          one.facts[fact.substr(0, end)] = fact.substr(end + 2);
      }
      const auto& [name, namespaces] = boxes.at(found[2]);
      for (const std::string& each : namespaces) {
        std::smatch parts;
        if (!std::regex_match(each, parts, kNamespace)) {
          throw std::runtime_error("not a namespace: " + each);
        }
        one.namespaces[parts[2]] = parts[1];
        one.boxes[parts[2]] = name;
        one.is_new[parts[2]] = parts[3].matched;
      }
    }
  }
  return drawn;
}

bool HasGraphviz() { return !FindProgram("dot").empty(); }

}  // namespace steps
