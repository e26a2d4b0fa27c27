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
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// Whether `word` is one of those in `list`, with a comma between them.
bool Lists(const std::string& list, const std::string& word, char comma = ',') {
  return (comma + list + comma).find(comma + word + comma) != std::string::npos;
}

// Where `mount` shows `cgroup`, if it does.
std::optional<std::string> DirectoryOf(const std::string& cgroup,
                                       const Mount& mount) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (cgroup != root && !cgroup.starts_with(root + "/")) return std::nullopt;
  const std::string below = cgroup.substr(root.size());
  // Seen from a cgroup namespace that it is not in.
  if (below.starts_with("/..")) return std::nullopt;
  return mount.point + (below == "/" ? "" : below);
}

// The cgroups directly below.
std::vector<fs::path> Below(const fs::path& directory) {
  std::vector<fs::path> below;
  std::error_code gone;
  for (auto entry = fs::directory_iterator(directory, gone);
       entry != fs::directory_iterator(); entry.increment(gone)) {
    if (entry->is_directory(gone)) below.push_back(entry->path());
  }
  return below;
}

// Removes a cgroup and those below it, and moves the processes in them home. A
// process may take a moment to end or to move, and more may be forked
// meanwhile: hence the tries.
void RemoveAll(const fs::path& directory, const std::string& home) {
  for (int tries = 0; rmdir(directory.c_str()) == -1; ++tries) {
    if (errno == ENOENT) return;
    if (errno != EBUSY || tries == 500) {
      throw CallError(errno, fmt::format("rmdir({})", directory.native()));
    }
    for (const fs::path& below : Below(directory)) RemoveAll(below, home);
    try {
      std::istringstream pids(ReadFile(directory / "cgroup.procs"));
      const Descriptor procs = Open(home, O_WRONLY);
      for (std::string pid; pids >> pid;) WriteAll(procs.get(), pid);
    } catch (const CallError& error) {
      // A process has ended, or the cgroup.
      if (error.error() != ESRCH && error.error() != ENODEV &&
          error.error() != ENOENT) {
        throw;
      }
    }
    if (tries > 0) poll(nullptr, 0, 10);
  }
}

void RemoveEmpty(const fs::path& directory) {
  for (const fs::path& below : Below(directory)) RemoveEmpty(below);
  rmdir(directory.c_str());
}

// "steps-4711-4026531836", for the cgroup of a process: its PID, and the PID
// namespace in which it is that.
std::string NameOfCgroup(pid_t pid) {
  return fmt::format("{}{}-{}", kCgroupPrefix, pid,
                     NamespaceOf(getpid(), KindOf(CLONE_NEWPID)).inode);
}

// Removes what a run left that was killed together with its guardian: what is
// this user's, was named for a process that is gone, and has no process in it.
void RemoveLeftBehind(const fs::path& directory, const fs::path& own) {
  for (const fs::path& path : Below(directory)) {
    const std::string name = path.filename();
    struct stat info = {};
    if (!name.starts_with(kCgroupPrefix) || stat(path.c_str(), &info) == -1 ||
        info.st_uid != geteuid()) {
      continue;
    }
    const pid_t pid = std::atoi(&name[kCgroupPrefix.size()]);
    const bool gone = pid > 0 && name == NameOfCgroup(pid) &&
                      kill(pid, 0) == -1 && errno == ESRCH;
    if (gone || path == own) RemoveEmpty(path);
  }
}

// False, and told, where it cannot be removed.
bool TryToRemove(const fs::path& directory, const std::string& home) {
  try {
    RemoveAll(directory, home);
    return true;
  } catch (const std::exception& error) {
    fmt::print(stderr, "not removed: {}\n", error.what());
    return false;
  }
}

// Goes out of reach of what ends the lesson: Ctrl-C in its terminal, the end of
// its session. Nobody waits for the end of its stdout.
void BecomeGuardian() {
  OutliveParent();
  setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM}) {
    std::signal(signal, SIG_IGN);
  }
  const Descriptor null = Open("/dev/null", O_RDWR);
  dup2(null.get(), STDIN_FILENO);
  dup2(null.get(), STDOUT_FILENO);
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
  return CgroupsIn(ReadFile(fmt::format("/proc/{}/cgroup", pid)));
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller) {
  return FindCgroupPlace(controller, CgroupsOf(getpid()), Mounts());
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller,
                                           const Cgroups& cgroups,
                                           const std::vector<Mount>& mounts) {
  auto own = std::ranges::find_if(
      cgroups, [&](const auto& each) { return Lists(each.first, controller); });
  // Of version 2 where none of version 1 has the controller.
  if (own == cgroups.end()) own = cgroups.find("");
  if (own == cgroups.end()) return std::nullopt;
  const auto& [controllers, cgroup] = *own;
  const bool version_2 = controllers.empty();
  for (const Mount& mount : mounts) {
    const bool shows =
        version_2 ? mount.type == "cgroup2"
                  : mount.type == "cgroup" && Lists(mount.options, controller);
    const auto home = shows ? DirectoryOf(cgroup, mount) : std::nullopt;
    if (!home) continue;
    fs::path directory = *home;
    while (version_2 && !Lists(ReadText(directory / "cgroup.subtree_control"),
                               controller, ' ')) {
      if (directory == mount.point) return std::nullopt;
      directory = directory.parent_path();
    }
    return CgroupPlace{controllers, directory, *home};
  }
  return std::nullopt;
}

Cgroup::Cgroup(const CgroupPlace& place, const std::vector<std::string>& below)
    : home_(place.home + "/cgroup.procs"),
      path_(fmt::format("{}/{}", place.directory, NameOfCgroup(getpid()))),
      guardian_(Process::Quiet().Clone("the guardian of a cgroup", 0)) {
  const auto make = [this, &place, &below] {
    BecomeGuardian();
    Open(home_, O_WRONLY);
    RemoveLeftBehind(place.directory, path_);
    MUST(mkdir, path_.c_str(), 0755);
    OnRelease([this] { TryToRemove(path_, home_); });
    for (const std::string& cgroup : below) {
      MUST(mkdir, (path_ + "/" + cgroup).c_str(), 0755);
    }
  };
  try {
    guardian_->Run(make);
  } catch (const std::exception&) {
    guardian_.reset();  // It may have been killed halfway.
    if (fs::exists(path_)) TryToRemove(path_, home_);
    throw;
  }
}

bool Cgroup::Remove() {
  if (!guardian_) return true;
  bool removed = false;
  try {
    guardian_->Run([this] { RemoveAll(path_, home_); });
    removed = true;
  } catch (const std::exception&) {
    // It was killed, or cannot do it.
  }
  guardian_.reset();
  return removed || TryToRemove(path_, home_);
}

}  // namespace steps
