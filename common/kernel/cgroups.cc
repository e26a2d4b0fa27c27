#include "common/kernel/cgroups.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "common/kernel/descriptor.h"

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

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller) {
  return FindCgroupPlace(
      controller, MembershipsIn(ReadFile("/proc/self/cgroup")), Mounts());
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

}  // namespace steps
