#include "common/kernel/mounts.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

std::vector<Mount> MountsOn(const std::string& point) {
  std::vector<Mount> mounts = MountsIn(ReadFile("/proc/self/mountinfo"));
  std::erase_if(mounts,
                [&](const Mount& mount) { return mount.point != point; });
  return mounts;
}

}  // namespace

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
  for (const Mount& mount : MountsOn(point)) {
    types = mount.type + (types.empty() ? "" : " over ") + types;
  }
  return types.empty() ? "nothing" : types;
}

std::string PropagationOf(const std::string& point) {
  const std::vector<Mount> mounts = MountsOn(point);
  if (mounts.empty()) return "nothing is mounted";
  const std::string& tags = mounts.back().tags;
  if (tags.empty()) return "none (private)";
  return tags + (tags.starts_with("shared") ? " (peers)" : " (slave)");
}

void MakeMountsPrivate() {
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (ReadFile("/proc/self/mountinfo").find(" shared:") != std::string::npos) {
    throw std::runtime_error(
        "mount(2) answered 0, and a mount is still shared");
  }
}

void MountTmpfs(const char* point) {
  const std::size_t before = MountsOn(point).size();
  CALL(mount, "tmpfs", point, "tmpfs", 0, nullptr);
  if (MountsOn(point).size() == before) {
    throw std::runtime_error("mount(2) answered 0, and there is no new tmpfs");
  }
}

}  // namespace steps
