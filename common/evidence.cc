#include "common/evidence.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/limits.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/namespaces.h"
#include "common/tool.h"

namespace steps {

const std::string& Evidence::Value(std::string_view probe) const {
  for (const Finding& finding : findings_) {
    if (finding.probe == probe) return finding.value;
  }
  throw std::out_of_range(fmt::format("no evidence of the {}", probe));
}

bool Evidence::AllSay(std::string_view probe, std::string_view value) const {
  for (const Finding& finding : findings_) {
    if (finding.probe == probe && finding.value != value) return false;
  }
  return Value(probe) == value;
}

Finding FromFile(std::string probe, const std::string& path) {
  std::string text = ReadFile(path);
  if (text.ends_with('\n')) text.pop_back();
  return {std::move(probe), std::move(text), path};
}

Finding FromField(std::string field, const std::string& path) {
  const std::string begin = field + ":";
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(begin)) continue;
    std::string value = line.substr(
        std::min(line.find_first_not_of("\t ", begin.size()), line.size()));
    std::ranges::replace(value, '\t', ' ');
    return {std::move(field), std::move(value), path};
  }
  throw std::out_of_range(fmt::format("no {} in {}", field, path));
}

Finding FromLink(std::string probe, const std::string& path) {
  std::string target(PATH_MAX, '\0');
  target.resize(Check(readlink(path.c_str(), target.data(), target.size()),
                      "readlink(\"{}\")", path));
  return {std::move(probe), std::move(target), path};
}

Evidence FromLinks(const std::string& pid) {
  const std::map<int, NamespaceId> known = NamespacesOf(getpid());
  std::vector<Finding> links;
  for (const Kind& kind : Kinds()) {
    if (!known.contains(kind.flag)) continue;
    links.push_back(
        FromLink(std::string(kind.name),
                 fmt::format("/proc/{}/ns/{}", pid, kind.proc_name)));
  }
  return Evidence(std::move(links));
}

Finding FromLinkForChildren(std::string probe, const std::string& path) {
  try {
    return FromLink(probe, path);
  } catch (const CallError& error) {
    if (error.error() != ENOENT) throw;
    return {std::move(probe), ErrnoName(ENOENT), path};
  }
}

Finding FromFolder(std::string probe, const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    names.insert(entry.path().filename());
  }
  return {std::move(probe), fmt::format("{}", fmt::join(names, " ")), path};
}

Finding FromOwner(std::string probe, const std::string& path) {
  const Descriptor owned = Open(path, O_RDONLY);
  const int fd = ioctl(owned.get(), NS_GET_USERNS);
  if (fd == -1 && errno == EPERM) {
    return {std::move(probe), ErrnoName(EPERM), "NS_GET_USERNS"};
  }
  const Descriptor owner(Check(fd, "ioctl(\"{}\", NS_GET_USERNS)", path));
  Finding finding =
      FromLink(std::move(probe), fmt::format("/proc/self/fd/{}", fd));
  finding.source = "NS_GET_USERNS";
  return finding;
}

Finding FromTool(const std::vector<std::string>& argv, Finding instead) {
  const char* why = "is not installed";
  try {
    if (std::optional<std::string> printed = RunTool(argv)) {
      return {std::move(instead.probe), *std::move(printed),
              fmt::format("$ {}", fmt::join(argv, " "))};
    }
  } catch (const ChildError&) {
    why = "failed";
  }
  instead.source = fmt::format("{} {}: {}", argv[0], why, instead.source);
  return instead;
}

Finding Cut(Finding table) {
  constexpr std::size_t kColumns = 66;
  std::istringstream lines(std::exchange(table.value, ""));
  for (std::string line; std::getline(lines, line);) {
    line.resize(line.find_last_not_of(' ', kColumns - 1) + 1);
    if (line.empty()) continue;
    table.value += (table.value.empty() ? "" : "\n") + line;
  }
  return table;
}

}  // namespace steps
