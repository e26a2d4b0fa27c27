#include "common/kernel/mounts.h"

#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
std::vector<Mount> MountsIn(const std::string& mountinfo) {
  std::vector<Mount> mounts;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Mount mount = {};
    std::string skipped;
    fields >> skipped >> skipped >> mount.device >> mount.root >> mount.point >>
        skipped;
    // As many tags as there are, and a "-" behind the last.
    for (std::string tag; fields >> tag && tag != "-";) {
      mount.tags += (mount.tags.empty() ? "" : " ") + tag;
    }
    fields >> mount.type >> skipped >> mount.options;
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string MountedOn(const std::string& point) {
  std::string types;
  for (const Mount& mount : MountsIn(ReadFile("/proc/self/mountinfo"))) {
    if (mount.point != point) continue;
    types.insert(0, mount.type + (types.empty() ? "" : " over "));
  }
  return types.empty() ? "nothing" : types;
}

std::string PropagationOf(const std::string& point) {
  std::string tags = "nothing is mounted";
  for (const Mount& mount : MountsIn(ReadFile("/proc/self/mountinfo"))) {
    if (mount.point == point) tags = mount.tags;
  }
  if (tags.empty()) return "none (private)";
  if (tags.starts_with("shared:")) return tags + " (peers)";
  return tags.starts_with("master:") ? tags + " (slave)" : tags;
}

void MakeMountsPrivate() {
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (ReadFile("/proc/self/mountinfo").find(" shared:") != std::string::npos) {
    throw std::runtime_error(
        "mount(2) answered 0, and a mount is still shared");
  }
}

void MountTmpfs(const char* point) {
  const std::string before = MountedOn(point);
  CALL(mount, "tmpfs", point, "tmpfs", 0, nullptr);
  if (MountedOn(point) == before) {
    throw std::runtime_error("mount(2) answered 0, and there is no new tmpfs");
  }
}

}  // namespace steps
