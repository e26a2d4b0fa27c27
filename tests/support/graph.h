#ifndef TESTS_SUPPORT_GRAPH_H_
#define TESTS_SUPPORT_GRAPH_H_

#include <map>
#include <string>

namespace steps {

/// A process in a drawing.
struct Drawn {
  std::map<std::string, std::string> facts;  // "hostname": "vm"
  // The kind and the inode number, "uts": "4026531838", of each namespace that
  // a line leads to.
  std::map<std::string, std::string> namespaces;
  // The kinds of those that are in a box of this name: "shared by both".
  std::map<std::string, std::string> boxes;  // "uts": "inside alone"
  std::map<std::string, bool> is_new;        // "uts": true
};

/// What --dot drew: each process, as "after inside". Throws std::runtime_error
/// for a graph of another form.
std::map<std::string, Drawn> ReadGraph(const std::string& graph);

/// Whether Graphviz is installed.
bool HasGraphviz();

}  // namespace steps

#endif  // TESTS_SUPPORT_GRAPH_H_
