// When a program can be looked at.

#include "lessons/check/observe.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <sstream>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

constexpr int kMilliseconds = 5;  // Between two looks.

// A call that may have a deadline, and the argument that says so.
struct Timed {
  long number;
  std::size_t argument;
  bool is_pointer;  // NULL is no deadline. Otherwise a negative number is.
};

constexpr std::array kTimed = {
#ifdef SYS_poll
    Timed{SYS_poll, 2, false},          Timed{SYS_epoll_wait, 3, false},
    Timed{SYS_select, 4, true},
#endif
    Timed{SYS_ppoll, 2, true},          Timed{SYS_pselect6, 4, true},
    Timed{SYS_epoll_pwait, 3, false},   Timed{SYS_futex, 3, true},
    Timed{SYS_rt_sigtimedwait, 2, true}};

bool IsInput(long number) {
#ifdef SYS_poll
  if (number == SYS_poll || number == SYS_select) return true;
#endif
  return number == SYS_read || number == SYS_ppoll || number == SYS_pselect6;
}

// What a thread sleeps in, of its file syscall: "0 0x0 0x7f… …". proc(5).
void ReadCall(const std::string& text, Task& task) {
  std::istringstream words(text);
  long number = -1;
  if (!(words >> number)) return;  // "running"
  std::array<unsigned long, 6> arguments = {};
  std::string word;
  for (unsigned long& argument : arguments) {
    if (words >> word) argument = std::stoul(word, nullptr, 16);
  }
  for (const long sleeps :
       {SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall}) {
    if (number == sleeps) return;
  }
  for (const Timed& timed : kTimed) {
    if (number != timed.number) continue;
    const unsigned long value = arguments[timed.argument];
    if (timed.is_pointer ? value != 0 : static_cast<int>(value) >= 0) return;
  }
  task.waits = true;
  task.reads = IsInput(number);
}

// One of its threads. That of a zombie waits for good.
Task ReadThread(const std::string& directory) {
  Task task;
  const std::string stat = ReadFile(directory + "/stat");
  const std::size_t name = stat.find('(') + 1;
  const std::size_t end = stat.rfind(')');
  task.name = stat.substr(name, end - name);
  std::istringstream(stat.substr(end + 1)) >> task.state >> task.parent;
  for (const char* kind : {"voluntary", "nonvoluntary"}) {
    task.switches += std::stol(ReadField(
        directory + "/status", fmt::format("{}_ctxt_switches", kind)));
  }
  if (task.state == 'Z' || task.state == 'T' || task.state == 't') {
    task.waits = true;
  } else if (task.state == 'S') {
    ReadCall(ReadText(directory + "/syscall"), task);
  }
  return task;
}

// A process, with what its other threads do.
Task ReadTask(pid_t pid) {
  const std::string directory = fmt::format("/proc/{}", pid);
  Task task = ReadThread(directory);
  for (const pid_t thread : ProcessesIn(directory + "/task")) {
    if (thread == pid) continue;
    const Task other =
        ReadThread(fmt::format("{}/task/{}", directory, thread));
    task.waits = task.waits && other.waits;
    task.reads = task.reads || other.reads;
    task.switches += other.switches;
  }
  return task;
}

pid_t ParentOf(pid_t pid) {
  const std::string stat = ReadFile(ProcPath(pid, "stat"));
  char state = 0;
  pid_t parent = -1;
  std::istringstream(stat.substr(stat.rfind(')') + 1)) >> state >> parent;
  return parent;
}

// Those that descend from the host, but for the one that is to be joined.
std::vector<pid_t> Descendants(const Host& host) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : ProcessesIn("/proc")) {
    try {
      children.emplace(ParentOf(pid), pid);
    } catch (const CallError&) {  // It has ended since.
    }
  }
  std::vector<pid_t> all;
  pid_t parent = host.pid();
  for (std::size_t next = 0; next <= all.size(); ++next) {
    const auto [begin, end] = children.equal_range(parent);
    for (auto child = begin; child != end; ++child) {
      if (child->second != host.target()) all.push_back(child->second);
    }
    if (next < all.size()) parent = all[next];
  }
  return all;
}

// Nothing where one has ended meanwhile.
std::optional<Tasks> ReadTasks(const std::vector<pid_t>& pids) {
  Tasks tasks;
  try {
    for (const pid_t pid : pids) tasks[pid] = ReadTask(pid);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return tasks;
}

bool AllWait(const Tasks& tasks) {
  return std::ranges::all_of(
      tasks, [](const auto& each) { return each.second.waits; });
}

}  // namespace

Observation Observe(Host& host) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(kLongestSeconds);
  Observation seen;
  std::optional<Tasks> before;
  while (true) {
    const std::string text = host.Read();
    seen.output += text;
    seen.status = host.Reap();
    const std::vector<pid_t> pids = Descendants(host);
    const std::optional<Tasks> now = ReadTasks(pids);
    if (now) seen.tasks = *now;
    const auto ends = [&](Moment moment) {
      seen.moment = moment;
      return seen;
    };
    if (seen.output.size() > kMostOutput) return ends(Moment::kTooMuchOutput);
    if (pids.size() > kMostProcesses) return ends(Moment::kTooMany);
    if (seen.status && pids.empty()) {
      seen.output += host.Read();
      return ends(Moment::kEnded);
    }
    // Were all of them waiting when it was first seen, they still are.
    if (text.empty() && now && AllWait(*now) && now == before) {
      return ends(Moment::kAtRest);
    }
    if (Clock::now() > deadline) return ends(Moment::kTooLong);
    before = now;
    host.AwaitOutput(kMilliseconds);
  }
}

}  // namespace steps
