// What //lessons:inspect does with PIDs of the reader's:
//
//   bazel run //lessons:inspect -- 1 4242

#include "lessons/inspect_table.h"

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

#include "common/kernel/call.h"
#include "common/kernel/probe.h"
#include "common/program/command_line.h"

namespace steps {
namespace {

// A process that the reader names.
struct NamedProcess {
  pid_t pid;
  std::string command;                    // As ps(1) has it; any bytes.
  std::map<int, NamespaceId> namespaces;  // By the kind's flag.
};

// As many as fit 80 columns. With more, some might share one namespace and
// some another.
constexpr std::size_t kMostBeside = 3;

// A zombie has left all its namespaces but two.
std::optional<NamespaceId> In(const NamedProcess& process, const Kind& kind) {
  const auto found = process.namespaces.find(kind.flag);
  if (found == process.namespaces.end()) return std::nullopt;
  return found->second;
}

pid_t ReadPid(const std::string& word) {
  if (word.starts_with("--")) {
    throw UsageError(fmt::format("options go before the PIDs: {}", word));
  }
  pid_t pid = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, pid);
  if (error != std::errc() || stop != end || pid < 1) {
    throw UsageError(fmt::format("not a PID, a number from 1 to {}: {}",
                                 std::numeric_limits<pid_t>::max(), word));
  }
  return pid;
}

NamedProcess Look(pid_t pid) {
  try {
    std::map<int, NamespaceId> namespaces = NamespacesOf(pid);
    return {pid, ReadText(ProcPath(pid, "comm")), std::move(namespaces)};
  } catch (const CallError& error) {
    // ESRCH: it ended while it was read.
    if (error.error() != ENOENT && error.error() != ESRCH) throw;
    throw std::runtime_error(fmt::format("there is no process {}", pid));
  }
}

// In words, which of the processes share a namespace of this kind.
std::string SharedBy(const std::vector<NamedProcess>& processes,
                     const Kind& kind) {
  std::vector<pid_t> sharing;
  for (const NamedProcess& one : processes) {
    const auto with =
        std::ranges::count_if(processes, [&](const auto& other) {
          return In(one, kind) && In(one, kind) == In(other, kind);
        });
    if (with > 1) sharing.push_back(one.pid);
  }
  if (sharing.empty()) return "none";
  if (sharing.size() == processes.size()) return "all";
  return fmt::format("{}", fmt::join(sharing, " and "));
}

std::string Header(const NamedProcess& process) {
  return fmt::format("PID {}", process.pid);
}

Table Compare(const std::vector<NamedProcess>& processes) {
  Table table = {{""}, {}};
  for (const NamedProcess& process : processes) {
    table.header.push_back(Header(process));
  }
  if (processes.size() > 1) table.header.emplace_back("shared by");
  const auto here = NamespacesOf(getpid());
  for (const Kind& kind : Kinds()) {
    if (!here.contains(kind.flag)) continue;  // This kernel lacks it.
    std::vector<std::string> row = {std::string(kind.name)};
    for (const NamedProcess& process : processes) {
      const std::optional<NamespaceId> id = In(process, kind);
      row.push_back(id ? std::to_string(id->inode) : "(left)");
    }
    if (processes.size() > 1) row.push_back(SharedBy(processes, kind));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<NamedProcess> LookAt(const std::vector<std::string>& words) {
  std::vector<pid_t> pids(words.size());
  std::ranges::transform(words, pids.begin(), ReadPid);
  std::vector<NamedProcess> processes(pids.size());
  std::ranges::transform(pids, processes.begin(), Look);
  return processes;
}

std::vector<Table> CompareProcesses(
    const std::vector<NamedProcess>& processes) {
  std::vector<Table> tables;
  auto next = processes.begin() + 1;
  do {
    std::vector<NamedProcess> beside = {processes.front()};
    while (next != processes.end() && beside.size() < kMostBeside) {
      beside.push_back(*next++);
    }
    tables.push_back(Compare(beside));
  } while (next != processes.end());
  return tables;
}

Drawing DrawProcesses(const std::vector<NamedProcess>& processes) {
  Drawing drawing = {"now", {}};
  for (const NamedProcess& process : processes) {
    int left = KnownFlags();
    for (const auto& [flag, id] : process.namespaces) left &= ~flag;
    std::vector<std::string> facts = {"command: " + process.command};
    if (left != 0) facts.push_back("has left: " + KindNames(left));
    drawing.processes.push_back(
        {Header(process), process.namespaces, std::move(facts)});
  }
  return drawing;
}

}  // namespace

int CompareNamed(Lesson& lesson, const std::vector<std::string>& pids) {
  const std::vector<NamedProcess> processes = LookAt(pids);
  lesson.Step("The inode numbers of their namespaces");
  for (Table& table : CompareProcesses(processes)) {
    lesson.Show(std::move(table));
  }
  lesson.Show(DrawProcesses(processes));
  return 0;
}

}  // namespace steps
