#include "common/mounts.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <array>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/descriptor.h"

namespace steps {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

constexpr std::array<std::pair<unsigned long, std::string_view>, 12> kFlags = {{
    {MS_RDONLY, "MS_RDONLY"},
    {MS_NOSUID, "MS_NOSUID"},
    {MS_NODEV, "MS_NODEV"},
    {MS_NOEXEC, "MS_NOEXEC"},
    {MS_REMOUNT, "MS_REMOUNT"},
    {MS_BIND, "MS_BIND"},
    {MS_MOVE, "MS_MOVE"},
    {MS_REC, "MS_REC"},
    {MS_UNBINDABLE, "MS_UNBINDABLE"},
    {MS_PRIVATE, "MS_PRIVATE"},
    {MS_SLAVE, "MS_SLAVE"},
    {MS_SHARED, "MS_SHARED"},
}};

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

std::vector<Mount> Mounts() { return MountsIn(ReadFile(kMountInfo)); }

std::optional<Mount> MountOn(const std::string& point) {
  std::optional<Mount> found;
  for (Mount& mount : Mounts()) {
    if (mount.point == point) found = std::move(mount);
  }
  return found;
}

std::string MountFlags(unsigned long flags) {
  std::string text;
  const auto add = [&text](std::string_view name) {
    if (!text.empty()) text += " | ";
    text += name;
  };
  for (const auto& [flag, name] : kFlags) {
    if ((flags & flag) != 0) add(name);
    flags &= ~flag;
  }
  if (flags != 0) add(fmt::format("{:#x}", flags));
  return text.empty() ? "0" : text;
}

Finding FromMount(const std::string& point) {
  const std::optional<Mount> mount = MountOn(point);
  return {point, mount ? mount->device + " " + mount->type : "no mount",
          kMountInfo};
}

Finding FromPropagation(const std::string& point) {
  const std::optional<Mount> mount = MountOn(point);
  const bool tagged = mount && !mount->tags.empty();
  return {point, tagged ? mount->tags : "no tag", kMountInfo};
}

}  // namespace steps
