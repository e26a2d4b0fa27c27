// What is to run: the program and the files that it is given, as the reader
// may read them.

#include "lessons/check/order.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/program/command_line.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

constexpr off_t kLargest = off_t{64} << 20;

Order::File Read(const std::string& path) {
  const Descriptor file = Open(path, O_RDONLY);
  struct stat status = {};
  MUST(fstat, file.get(), &status);
  if (status.st_size > kLargest) {
    throw UsageError(fmt::format("{} is too large", path));
  }
  return {fs::absolute(path).lexically_normal(), status.st_mode & 0777,
          ReadAll(file.get())};
}

}  // namespace

const std::vector<std::string>& ShownDirectories() {
  static const std::vector<std::string> shown = {
      "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt"};
  return shown;
}

bool IsShown(const std::string& path) {
  const auto holds = [&path](const std::string& name) {
    return path.starts_with("/" + name + "/");
  };
  return std::ranges::any_of(ShownDirectories(), holds) || holds("proc") ||
         holds("sys") || holds("dev");
}

Order MakeOrder(const std::vector<std::string>& words) {
  Order order = {.argv = words, .directory = fs::current_path(), .files = {}};
  try {
    const std::string found = FindProgram(words.at(0));
    const Order::File program = Read(found.empty() ? words[0] : found);
    order.argv[0] = program.path;
    const std::string type = fs::path(program.path).extension();
    order.is_source = type == ".cc" || type == ".cpp" || type == ".c";
    if (!order.is_source && (program.mode & 0111) == 0) {
      throw UsageError(fmt::format("{} may not be run (chmod +x)", words[0]));
    }
    if (!IsShown(program.path)) order.files.push_back(program);
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (!fs::is_regular_file(words[i])) continue;
      Order::File file = Read(words[i]);
      if (!IsShown(file.path)) order.files.push_back(std::move(file));
    }
  } catch (const CallError& error) {
    throw UsageError(error.what());
  }
  return order;
}

}  // namespace steps
