#include "common/graphviz.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <optional>

#include "common/call_error.h"
#include "common/descriptor.h"
#include "common/tool.h"

namespace steps {

std::string ToSvg(std::string_view graph) {
  // dot inherits it: not close-on-exec.
  const Descriptor file(
      Check(memfd_create("graph", 0), "memfd_create(\"graph\")"));
  WriteAll(file.get(), graph);
  const std::optional<std::string> svg =
      RunTool({"dot", "-Tsvg", fmt::format("/proc/self/fd/{}", file.get())});
  if (!svg) throw CallError(ENOENT, "execvp(\"dot\")");
  return *svg + "\n";
}

}  // namespace steps
