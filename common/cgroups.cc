#include "common/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "common/call_error.h"
#include "common/child.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// Whether `word` is one of those in `list`, with a comma between them.
bool Lists(const std::string& list, const std::string& word) {
  return fmt::format(",{},", list).find(fmt::format(",{},", word)) !=
         std::string::npos;
}

// The membership in the hierarchy that has the controller: that of version 2
// where none of version 1 has it.
const Membership* FindMembership(const std::string& controller,
                                 const std::vector<Membership>& memberships) {
  const Membership* found = nullptr;
  for (const Membership& membership : memberships) {
    if (Lists(membership.controllers, controller)) return &membership;
    if (membership.controllers.empty()) found = &membership;
  }
  return found;
}

// Where `mount` shows `cgroup`, if it does.
std::optional<std::string> FolderOf(const std::string& cgroup,
                                    const Mount& mount) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (cgroup != root && !cgroup.starts_with(root + "/")) return std::nullopt;
  const std::string below = cgroup.substr(root.size());
  // Seen from a cgroup namespace that it is not in.
  if (below.starts_with("/..")) return std::nullopt;
  return mount.point + (below == "/" ? "" : below);
}

// Version 2: whether the children of the cgroup in `folder` have it.
bool ChildrenHave(const std::string& controller, const fs::path& folder) {
  std::istringstream words(ReadFile(folder / "cgroup.subtree_control"));
  for (std::string word; words >> word;) {
    if (word == controller) return true;
  }
  return false;
}

// Moves the processes in `folder` home. One that is about to end may stay.
void Empty(const fs::path& folder, int home) {
  std::istringstream pids(ReadFile(folder / "cgroup.procs"));
  for (std::string pid; pids >> pid;) {
    if (write(home, pid.data(), pid.size()) == -1 && errno != ESRCH) {
      throw CallError(errno, fmt::format("write({}, \"{}\")", home, pid));
    }
  }
}

// Removes a cgroup and those below it, unless it is gone.
void Remove(const fs::path& folder, int home) {
  while (rmdir(folder.c_str()) == -1 && errno != ENOENT) {
    if (errno != EBUSY) {
      throw CallError(errno, fmt::format("rmdir(\"{}\")", folder.native()));
    }
    std::error_code gone;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(folder, gone)) {
      if (entry.is_directory(gone)) Remove(entry.path(), home);
    }
    Empty(folder, home);
  }
}

void Make(const fs::path& folder) {
  Check(mkdir(folder.c_str(), 0755), "mkdir(\"{}\", 0755)", folder.native());
}

}  // namespace

std::vector<Membership> MembershipsIn(const std::string& text) {
  std::vector<Membership> memberships;
  std::istringstream lines(text);
  // "4:cpu,cpuacct:/a/b": a controller has no colon in its name, a cgroup may.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':') + 1;
    const std::size_t second = line.find(':', first);
    memberships.push_back(
        {line.substr(first, second - first), line.substr(second + 1)});
  }
  return memberships;
}

std::vector<Membership> MembershipsOf(pid_t pid) {
  return MembershipsIn(ReadFile(fmt::format("/proc/{}/cgroup", pid)));
}

std::string CgroupOf(pid_t pid, const std::string& controllers) {
  for (Membership& membership : MembershipsOf(pid)) {
    if (membership.controllers == controllers) return membership.cgroup;
  }
  throw std::out_of_range(
      fmt::format("no hierarchy of cgroups with \"{}\"", controllers));
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller) {
  return FindCgroupPlace(controller, MembershipsOf(getpid()), Mounts());
}

std::optional<CgroupPlace> FindCgroupPlace(
    const std::string& controller, const std::vector<Membership>& memberships,
    const std::vector<Mount>& mounts) {
  const Membership* own = FindMembership(controller, memberships);
  if (own == nullptr) return std::nullopt;
  const bool version_2 = own->controllers.empty();
  for (const Mount& mount : mounts) {
    const bool shows =
        version_2 ? mount.type == "cgroup2"
                  : mount.type == "cgroup" && Lists(mount.options, controller);
    if (!shows) continue;
    const std::optional<std::string> home = FolderOf(own->cgroup, mount);
    if (!home) continue;
    fs::path cgroup = own->cgroup;
    fs::path folder = *home;
    while (version_2 && !ChildrenHave(controller, folder)) {
      if (folder == mount.point) return std::nullopt;
      cgroup = cgroup.parent_path();
      folder = folder.parent_path();
    }
    return CgroupPlace{own->controllers, cgroup, folder, *home};
  }
  return std::nullopt;
}

Cgroup::Cgroup(const CgroupPlace& place, const std::vector<std::string>& below)
    : home_(Open(place.home + "/cgroup.procs", O_WRONLY)) {
  const fs::path top =
      fs::path(place.folder) / fmt::format("steps-{}", getpid());
  const auto remove = [top, home = home_.get()](int) { Remove(top, home); };
  const auto make = [&] {
    Make(top);
    try {
      for (const std::string& cgroup : below) Make(top / cgroup);
    } catch (const CallError&) {
      remove(0);
      throw;
    }
    return 0;
  };
  try {
    guardian_.emplace(make, remove);
  } catch (const ChildError&) {
    remove(0);  // It was killed in the middle.
    throw;
  }
  folder_ = Open(top, O_RDONLY | O_DIRECTORY);
}

}  // namespace steps
