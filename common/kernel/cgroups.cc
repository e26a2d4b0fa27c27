#include "common/kernel/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// Whether `word` is one of those in `list`, with a comma between them.
bool Lists(const std::string& list, const std::string& word, char comma = ',') {
  return (comma + list + comma).find(comma + word + comma) != std::string::npos;
}

// Removes a cgroup and those below it, as far as there is no process in them.
// Those that there are it moves first, to the cgroup.procs `home`, if any.
void RemoveEmpty(const fs::path& directory, const std::string& home) {
  for (const auto& below : fs::directory_iterator(directory)) {
    if (below.is_directory()) RemoveEmpty(below.path(), home);
  }
  if (!home.empty()) {
    std::istringstream pids(ReadFile(directory / "cgroup.procs"));
    for (std::string pid; pids >> pid;) WriteFile(home, pid);
  }
  MUST(rmdir, directory.c_str());
}

// A process may take a moment to end or to move, and more may be forked
// meanwhile: hence the tries. False, and told, where all were in vain.
bool RemoveAll(const std::string& directory, const std::string& home) {
  for (int tries = 0;; ++tries) {
    try {
      RemoveEmpty(directory, home);
      return true;
    } catch (const std::exception& error) {
      if (access(directory.c_str(), F_OK) == -1 && errno == ENOENT) return true;
      if (tries == 500) {
        Complain(fmt::format("not removed: {}\n", error.what()));
        return false;
      }
    }
    if (tries > 0) poll(nullptr, 0, 10);
  }
}

// "steps-4711-4026531836", for the cgroup of a process: its PID, and the PID
// namespace in which it is that.
std::string NameOfCgroup(pid_t pid) {
  return fmt::format("{}{}-{}", kCgroupPrefix, pid,
                     NamespacesOf(getpid()).at(CLONE_NEWPID).inode);
}

// Removes what a run left that was killed together with its guardian: what was
// named for a process that is gone, and has no process in it.
void RemoveLeftBehind(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kCgroupPrefix)) continue;
    const pid_t pid = std::atoi(&name[kCgroupPrefix.size()]);
    if (pid <= 0 || name != NameOfCgroup(pid)) continue;
    const bool gone = kill(pid, 0) == -1 && errno == ESRCH;
    if (!gone && pid != getpid()) continue;
    try {
      RemoveEmpty(entry.path(), "");
    } catch (const std::exception&) {
      // Somebody is in it, or has removed it.
    }
  }
}

}  // namespace

Cgroups CgroupsIn(const std::string& text) {
  Cgroups cgroups;
  std::istringstream lines(text);
  // "4:cpu,cpuacct:/a/b": a controller has no colon in its name, a cgroup may.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':') + 1;
    const std::size_t second = line.find(':', first);
    cgroups[line.substr(first, second - first)] = line.substr(second + 1);
  }
  return cgroups;
}

Cgroups CgroupsOf(pid_t pid) {
  return CgroupsIn(ReadFile(ProcPath(pid, "cgroup")));
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller,
                                           const std::string& root) {
  const Cgroups cgroups = CgroupsIn(ReadFile(root + "/proc/self/cgroup"));
  auto own = std::ranges::find_if(
      cgroups, [&](const auto& each) { return Lists(each.first, controller); });
  // Of version 2 where none of version 1 has the controller.
  if (own == cgroups.end()) own = cgroups.find("");
  if (own == cgroups.end()) return std::nullopt;
  const auto& [controllers, cgroup] = *own;
  const bool version_2 = controllers.empty();
  for (const Mount& mount : MountsIn(ReadFile(root + "/proc/self/mountinfo"))) {
    const bool shows =
        version_2 ? mount.type == "cgroup2"
                  : mount.type == "cgroup" && Lists(mount.options, controller);
    const fs::path below = fs::path(cgroup).lexically_relative(mount.root);
    // "..": seen from a cgroup namespace that it is not in.
    if (!shows || below.empty() || *below.begin() == "..") continue;
    const fs::path home =
        below == "." ? fs::path(mount.point) : mount.point / below;
    fs::path directory = home;
    while (version_2 && !Lists(ReadText(directory / "cgroup.subtree_control"),
                               controller, ' ')) {
      if (directory == mount.point) return std::nullopt;
      directory = directory.parent_path();
    }
    return CgroupPlace{controllers, directory, home};
  }
  return std::nullopt;
}

Cgroup::Cgroup(const CgroupPlace& place)
    : home_(place.home + "/cgroup.procs"),
      path_(fmt::format("{}/{}", place.directory, NameOfCgroup(getpid()))) {
  guardian_.emplace(Process::Quiet().Clone("the guardian of a cgroup", 0));
  guardian_->Run([this] { Guard([this] { RemoveAll(path_, home_); }); });
  Open(home_, O_WRONLY);
  RemoveLeftBehind(place.directory);
  MUST(mkdir, path_.c_str(), 0755);
}

bool Cgroup::Remove() {
  if (!guardian_) return true;
  const bool removed = RemoveAll(path_, home_);
  guardian_.reset();
  return removed;
}

}  // namespace steps
