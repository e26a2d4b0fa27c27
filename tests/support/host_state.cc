#include "tests/support/host_state.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>
#include <system_error>

#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/program.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// Adds the lines of a file, the first `fields` fields of each.
void AddLines(HostState& state, const std::string& path, int fields) {
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string entry = path;
    std::string word;
    for (int i = 0; i < fields && words >> word; ++i) entry += " " + word;
    state[entry] = "";
  }
}

void AddDirectory(HostState& state, const std::string& path) {
  std::error_code missing;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(path, missing)) {
    state[entry.path()] = "";
  }
}

// The cgroups that lessons make: others come and go.
void AddCgroups(HostState& state) {
  for (const Mount& mount : MountsIn(ReadFile("/proc/self/mountinfo"))) {
    if (!mount.type.starts_with("cgroup")) continue;
    std::error_code gone;
    for (auto entry = fs::recursive_directory_iterator(mount.point, gone);
         entry != fs::recursive_directory_iterator(); entry.increment(gone)) {
      const std::string path = entry->path();
      if (entry->is_directory(gone) &&
          path.find("/" + std::string(kCgroupPrefix)) != std::string::npos) {
        state["cgroup " + path];
      }
    }
  }
}

}  // namespace

HostState LookAtHost() {
  HostState state;
  state["hostname"] = Uname().nodename;
  state["domain name"] = Uname().domainname;
  AddLines(state, "/proc/self/mountinfo", 7);
  // The key and the identifier: the rest changes with use.
  for (const char* kind : {"msg", "sem", "shm"}) {
    AddLines(state, fmt::format("/proc/sysvipc/{}", kind), 2);
  }
  AddDirectory(state, "/dev/mqueue");
  // The name only: the rest of the line counts packets.
  AddLines(state, "/proc/self/net/dev", 1);
  AddCgroups(state);
  for (const pid_t pid : Descendants()) {
    state[fmt::format("process {}", pid)] =
        ReadFile(fmt::format("/proc/{}/comm", pid));
  }
  for (const char* directory : {"/tmp", "/var/tmp", "/dev/shm"}) {
    AddDirectory(state, directory);
  }
  return state;
}

std::string Difference(const HostState& before, const HostState& after) {
  std::string lines;
  for (const auto& [what, value] : before) {
    const auto found = after.find(what);
    if (found == after.end()) {
      lines += fmt::format("gone: {}\n", what);
    } else if (found->second != value) {
      lines +=
          fmt::format("changed: {}: {} -> {}\n", what, value, found->second);
    }
  }
  for (const auto& [what, value] : after) {
    if (!before.contains(what)) lines += fmt::format("new: {}\n", what);
  }
  return lines;
}

}  // namespace steps
