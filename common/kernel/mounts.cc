#include "common/kernel/mounts.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

// A new mount is what says so, not the answer of a call.
void MustBe(bool so, const char* what) {
  if (!so) {
    throw std::runtime_error(
        std::string("mount(2) answered 0, and in /proc/self/mountinfo ") +
        what);
  }
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

std::vector<Mount> Mounts() { return MountsIn(ReadFile(kMountInfo)); }

std::optional<Mount> MountOn(const std::string& point) {
  std::optional<Mount> found;
  for (Mount& mount : Mounts()) {
    if (mount.point == point) found = std::move(mount);
  }
  return found;
}

std::string MountedOn(const std::string& point) {
  std::string types;
  for (const Mount& mount : Mounts()) {
    if (mount.point != point) continue;
    if (!types.empty()) types.insert(0, " over ");
    types.insert(0, mount.type);
  }
  return types.empty() ? "nothing" : types;
}

std::string PropagationOf(const std::string& point) {
  const std::optional<Mount> mount = MountOn(point);
  if (!mount) return "nothing is mounted";
  if (mount->tags.empty()) return "none (private)";
  return mount->tags +
         (mount->tags.starts_with("shared") ? " (peers)" : " (slave)");
}

void MakeMountsPrivate() {
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  MustBe(std::ranges::none_of(Mounts(),
                              [](const Mount& mount) {
                                return mount.tags.find("shared:") !=
                                       std::string::npos;
                              }),
         "a mount is still shared");
}

void MountTmpfs(const char* point) {
  const auto count = [point] {
    return std::ranges::count(Mounts(), point, &Mount::point);
  };
  const auto before = count();
  CALL(mount, "tmpfs", point, "tmpfs", 0, nullptr);
  MustBe(count() == before + 1 && MountedOn(point).starts_with("tmpfs"),
         "there is no new tmpfs");
}

#if !__GLIBC_PREREQ(2, 36)
int mount_setattr(int directory, const char* path, unsigned int flags,
                  mount_attr* attr, std::size_t size) {
  constexpr long kNumber = 442;  // On every architecture; since Linux 5.12.
  return static_cast<int>(syscall(kNumber, directory, path, flags, attr, size));
}
#endif

}  // namespace steps
