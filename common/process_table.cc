#include "common/process_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/call_error.h"
#include "common/command_line.h"
#include "common/namespaces.h"

namespace steps {
namespace {

// As many as fit 80 columns. With more, some might share one namespace and some
// another.
constexpr std::size_t kMostBeside = 3;

struct Process {
  pid_t pid;
  std::map<int, NamespaceId> namespaces;

  // A zombie has left all its namespaces but two.
  std::optional<NamespaceId> In(const Kind& kind) const {
    const auto found = namespaces.find(kind.flag);
    if (found == namespaces.end()) return std::nullopt;
    return found->second;
  }
};

pid_t ReadPid(const std::string& word) {
  pid_t pid = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, pid);
  if (error != std::errc() || stop != end || pid < 1) {
    throw UsageError(fmt::format("not a PID, a number from 1 to {}: {}",
                                 std::numeric_limits<pid_t>::max(), word));
  }
  return pid;
}

Process Look(pid_t pid) {
  try {
    return {pid, NamespacesOf(pid)};
  } catch (const CallError& error) {
    if (error.error() != ENOENT) throw;
    throw std::runtime_error(fmt::format("there is no process {}", pid));
  }
}

// In words, which of the processes share a namespace of this kind.
std::string SharedBy(const std::vector<Process>& processes, const Kind& kind) {
  std::vector<pid_t> sharing;
  for (const Process& one : processes) {
    const auto with = std::ranges::count_if(processes, [&](const auto& other) {
      return one.In(kind) && one.In(kind) == other.In(kind);
    });
    if (with > 1) sharing.push_back(one.pid);
  }
  if (sharing.empty()) return "none";
  if (sharing.size() == processes.size()) return "all";
  return fmt::format("{}", fmt::join(sharing, " and "));
}

Table Compare(const std::vector<Process>& processes) {
  Table table = {{""}, {}};
  for (const Process& process : processes) {
    table.header.push_back(fmt::format("PID {}", process.pid));
  }
  if (processes.size() > 1) table.header.emplace_back("shared by");
  const Process self = Look(getpid());
  for (const Kind& kind : Kinds()) {
    if (!self.In(kind)) continue;  // This kernel lacks it.
    std::vector<std::string> row = {std::string(kind.name)};
    for (const Process& process : processes) {
      const std::optional<NamespaceId> id = process.In(kind);
      row.push_back(id ? std::to_string(id->inode) : "(left)");
    }
    if (processes.size() > 1) row.push_back(SharedBy(processes, kind));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::vector<Table> CompareProcesses(const std::vector<std::string>& words) {
  std::vector<pid_t> pids(words.size());
  std::ranges::transform(words, pids.begin(), ReadPid);
  std::vector<Process> all(pids.size());
  std::ranges::transform(pids, all.begin(), Look);

  std::vector<Table> tables;
  auto next = all.begin() + 1;
  do {
    std::vector<Process> beside = {all.front()};
    while (next != all.end() && beside.size() < kMostBeside) {
      beside.push_back(*next++);
    }
    tables.push_back(Compare(beside));
  } while (next != all.end());
  return tables;
}

}  // namespace steps
