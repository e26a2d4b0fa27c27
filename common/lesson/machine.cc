#include "common/lesson/machine.h"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string_view>
#include <vector>

#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

// What `read` gives, or nothing where it cannot be read.
std::string Try(const std::function<std::string()>& read) {
  try {
    return read();
  } catch (const std::exception&) {
    return "";
  }
}

// Whether `mount` hides a part of /proc. These directories are always empty:
// they exist to be mounted on.
bool MasksProc(const Mount& mount) {
  return mount.point.starts_with("/proc/") && mount.point != "/proc/fs/nfsd" &&
         mount.point != "/proc/sys/fs/binfmt_misc" &&
         mount.point != "/proc/xen";
}

}  // namespace

Machine Machine::Look(const std::string& root) {
  const auto read = [&root](const std::string& path) {
    return Try([&] { return ReadText(root + path); });
  };
  const auto exists = [&root](const std::string& path) {
    return access((root + path).c_str(), F_OK) == 0;
  };
  const auto field = [&root](const char* name) {
    return Try([&] { return ReadField(root + "/proc/self/status", name); });
  };
  const std::vector<Mount> mounts = MountsIn(read("/proc/self/mountinfo"));
  const auto is_mounted = [&mounts](std::string_view point) {
    return std::ranges::count(mounts, point, &Mount::point) > 0;
  };
  const std::uint64_t capabilities =
      std::strtoull(field("CapEff").c_str(), nullptr, 16);
  const auto has = [capabilities](int capability) {
    return (capabilities >> capability & 1) != 0;
  };
  uid_t uid = 0;
  std::istringstream(field("Uid")) >> uid >> uid;  // The second is effective.

  Machine machine;
  const std::string profile = read("/proc/self/attr/apparmor/current");
  machine.profile = profile.substr(0, profile.find(' '));
  for (const Kind& kind : Kinds()) {
    const std::string name(kind.proc_name);
    if (!exists("/proc/self/ns/" + name)) continue;
    const std::string most = read("/proc/sys/user/max_" + name + "_namespaces");
    machine.most[kind.flag] = most.empty() ? UINT64_MAX : std::stoull(most);
  }

  const auto add_if = [&machine](bool so, Trait trait) {
    if (so) machine.traits |= trait;
  };
  add_if(uid == 0, kUidZero);
  add_if(has(CAP_SYS_ADMIN), kPrivileged);
  add_if(uid == 0 && !has(CAP_SETFCAP), kNoSetfcap);
  add_if(read("/proc/self/uid_map").empty(), kUnmapped);
  add_if(field("Seccomp") == "2", kFiltered);
  add_if(!profile.empty() && profile != "unconfined", kConfined);

  add_if(exists("/run/.containerenv") || exists("/run/systemd/container") ||
             is_mounted("/etc/hostname"),
         kInContainer);
  add_if(!mounts.empty() && !is_mounted("/"), kInChroot);
  add_if(std::ranges::any_of(mounts, MasksProc), kMaskedProc);

  add_if(read("/proc/sys/kernel/unprivileged_userns_clone") == "0",
         kNoUserClone);
  add_if(read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
         kRestricted);
  add_if(read("/sys/fs/selinux/enforce") == "1", kSelinux);
  // Not /proc/self/cmdline, which qemu-user fakes.
  const std::string program = read("/proc/thread-self/cmdline").c_str();
  add_if(program.substr(program.rfind('/') + 1).starts_with("qemu-"),
         kEmulated);
  return machine;
}

}  // namespace steps
