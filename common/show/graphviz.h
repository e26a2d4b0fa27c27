#ifndef COMMON_SHOW_GRAPHVIZ_H_
#define COMMON_SHOW_GRAPHVIZ_H_

#include <string>
#include <string_view>

namespace steps {

/// A graph in Graphviz's language as SVG. Throws CallError, ENOENT where
/// Graphviz is not installed, and ChildError when it cannot draw the graph.
/// dot(1).
std::string ToSvg(std::string_view graph);

}  // namespace steps

#endif  // COMMON_SHOW_GRAPHVIZ_H_
