#include "common/show/graphviz.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <stdexcept>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"

namespace steps {

std::string ToSvg(std::string_view graph) {
  // dot inherits it: not close-on-exec.
  const Descriptor file(
      Check(memfd_create("graph", 0), "memfd_create(\"graph\")"));
  WriteAll(file.get(), graph);
  const std::string svg =
      RunTool({"dot", "-Tsvg", fmt::format("/proc/self/fd/{}", file.get())});
  if (svg == "(dot failed)") throw std::runtime_error("dot -Tsvg failed");
  if (IsMissing(svg)) {
    throw CallError(ENOENT, "execvp(\"dot\")");
  }
  return svg + "\n";
}

}  // namespace steps
