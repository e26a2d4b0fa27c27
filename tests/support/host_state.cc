#include "tests/support/host_state.h"

#include <cstdio>
#include <system_error>
#include <thread>
#include <tuple>

#include "common/kernel/cgroups.h"
#include "tests/support/test.h"

namespace steps {
namespace {

// Adds the lines of a file, the first `fields` fields of each.
void AddLines(std::set<std::string>& state, const std::string& path,
              int fields) {
  for (const std::string& line : LinesOf(ReadFile(path))) {
    std::istringstream words(line);
    std::string entry = path;
    std::string word;
    for (int i = 0; i < fields && words >> word; ++i) entry += " " + word;
    state.insert(entry);
  }
}

// Whether the cgroup "steps-PID-INODE…" belongs to a process in another PID
// namespace, or to one that lives and is none of this test's.
bool IsForeign(const std::string& name) {
  pid_t pid = 0;
  unsigned long inode = 0;
  std::sscanf(name.c_str(), "steps-%d-%lu", &pid, &inode);
  if (inode != NamespacesOf(getpid()).at(CLONE_NEWPID).inode) return true;
  const std::vector<pid_t> own = Descendants();
  return pid != getpid() && std::ranges::find(own, pid) == own.end() &&
         fs::exists(fmt::format("/proc/{}", pid));
}

// The cgroups that lessons make: others come and go.
void AddCgroups(std::set<std::string>& state) {
  for (const Mount& mount : MountsIn(ReadFile("/proc/self/mountinfo"))) {
    if (!mount.type.starts_with("cgroup")) continue;
    std::error_code gone;
    for (auto entry = fs::recursive_directory_iterator(mount.point, gone);
         entry != fs::recursive_directory_iterator(); entry.increment(gone)) {
      const std::string path = entry->path();
      const std::size_t name = path.find("/" + std::string(kCgroupPrefix));
      if (name != path.npos && entry->is_directory(gone) &&
          !IsForeign(path.substr(name + 1))) {
        state.insert("cgroup " + path);
      }
    }
  }
}

}  // namespace

std::string LookAtHost(const std::function<bool(const std::string&)>& counts) {
  std::set<std::string> state = {fmt::format("hostname {}", Uname().nodename),
                                 fmt::format("domain {}", Uname().domainname)};
  AddLines(state, "/proc/self/mountinfo", 7);
  // The key and the identifier: the rest changes with use.
  for (const char* kind : {"msg", "sem", "shm"}) {
    AddLines(state, fmt::format("/proc/sysvipc/{}", kind), 2);
  }
  // The name only: the rest of the line counts packets.
  AddLines(state, "/proc/self/net/dev", 1);
  AddCgroups(state);
  for (const pid_t pid : Descendants()) {
    state.insert(fmt::format("process {} {}", pid,
                             ReadText(fmt::format("/proc/{}/comm", pid))));
  }
  for (const char* path : {"/dev/mqueue", "/dev/shm", "/tmp", "/var/tmp"}) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(path, missing)) {
      state.insert(entry.path());
    }
  }
  std::string lines;
  for (const std::string& line : state) {
    if (!counts || counts(line)) lines += line + "\n";
  }
  return lines;
}

std::string Difference(const std::string& before, const std::string& after) {
  std::string difference;
  for (const auto& [change, some, others] :
       {std::tuple("gone", before, after), {"new", after, before}}) {
    for (const std::string& line : LinesOf(some)) {
      if (("\n" + others).find("\n" + line + "\n") != line.npos) continue;
      difference += fmt::format("{}: {}\n", change, line);
    }
  }
  return difference;
}

void Striker::Wait(std::chrono::nanoseconds longest) {
  std::this_thread::sleep_for(std::chrono::nanoseconds(
      std::uniform_int_distribution<long>(0, longest.count())(random_)));
}

pid_t Striker::Strike() {
  const std::vector<pid_t> all = Descendants();
  if (all.empty()) return -1;
  const pid_t victim = all[random_() % all.size()];
  kill(victim, SIGKILL);
  return victim;
}

}  // namespace steps
