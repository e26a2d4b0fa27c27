#include "common/lesson/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"

namespace steps {
namespace fs = std::filesystem;
namespace {

// What `read` gives, or nothing where it cannot be read.
std::string Try(const std::function<std::string()>& read) {
  try {
    return read();
  } catch (const std::exception&) {
    return "";
  }
}

std::string Contents(const std::string& path) {
  return Try([&path] { return ReadText(path); });
}

// Whether it is there, and can be seen.
bool Exists(const fs::path& path) {
  std::error_code refused;
  return fs::exists(path, refused);
}

// Whether a line of `map`, a uid_map, is about the user `uid`.
bool IsMapped(uid_t uid, const std::string& map) {
  std::istringstream lines(map);
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (lines >> inside >> outside >> count) {
    if (uid >= inside && uid - inside < count) return true;
  }
  return false;
}

// Whether `mount` hides a part of /proc. These directories are always empty:
// they exist to be mounted on.
bool MasksProc(const Mount& mount) {
  return mount.point.starts_with("/proc/") && mount.point != "/proc/fs/nfsd" &&
         mount.point != "/proc/sys/fs/binfmt_misc" &&
         mount.point != "/proc/xen";
}

bool IsMounted(const std::vector<Mount>& mounts, std::string_view point) {
  return std::ranges::find(mounts, point, &Mount::point) != mounts.end();
}

// Whether there are mounts outside of the root directory, though that is a
// mount point: in a namespace's own root all are seen but the lowest. Before
// Linux 6.12 the kernel does not count them, but PID 1 may have another root.
bool IsBelowRoot(const std::string& proc, std::size_t seen) {
  struct {
    std::uint32_t size, mounts;
    std::uint64_t id;
  } info = {};  // mnt_ns_info of <linux/nsfs.h>.
  const Descriptor space(open((proc + "/self/ns/mnt").c_str(), O_RDONLY));
  constexpr unsigned long kGetInfo = _IOR(0xb7, 10, info);
  if (ioctl(space.get(), kGetInfo, &info) == 0) return info.mounts > seen + 1;
  std::error_code refused;
  return fs::equivalent(proc + "/1/ns/mnt", proc + "/self/ns/mnt", refused) &&
         !fs::equivalent(proc + "/1/root", proc + "/self/root", refused) &&
         !refused;
}

// The lowest of this process's cgroup and those above it.
std::string PidsMax(const std::string& root) {
  std::string lowest = "max";
  try {
    const auto place = FindCgroupPlace("pids", root);
    if (!place) return lowest;
    std::string most;
    for (fs::path cgroup = place->home;
         !(most = Contents(cgroup / "pids.max")).empty();
         cgroup = cgroup.parent_path()) {
      if (most == "max") continue;
      if (lowest == "max" || std::stoull(most) < std::stoull(lowest)) {
        lowest = most;
      }
    }
  } catch (const CallError&) {
    // It is not known.
  }
  return lowest;
}

std::string Ulimit(auto resource, unsigned unit) {
  rlimit limit = {};
  getrlimit(resource, &limit);
  return limit.rlim_cur == RLIM_INFINITY
             ? "unlimited"
             : fmt::to_string(limit.rlim_cur / unit);
}

}  // namespace

Machine Machine::Look(const std::string& root) {
  const auto read = [&root](const std::string& path) {
    return Contents(root + path);
  };
  const auto field = [&root](const char* name) {
    return Try([&] { return ReadField(root + "/proc/self/status", name); });
  };
  const std::vector<Mount> mounts = MountsIn(read("/proc/self/mountinfo"));
  const std::string profile = read("/proc/self/attr/apparmor/current");
  const std::uint64_t capabilities =
      std::strtoull(field("CapEff").c_str(), nullptr, 16);
  const auto has = [capabilities](int capability) {
    return (capabilities >> capability & 1) != 0;
  };
  uid_t real_uid = 0;
  uid_t uid = 0;
  std::istringstream(field("Uid")) >> real_uid >> uid;

  Machine machine;
  machine.facts = {{"uid", fmt::to_string(uid)},
                   {"real_uid", fmt::to_string(real_uid)},
                   {"profile", profile.substr(0, profile.find(' '))},
                   {"pids.max", PidsMax(root)},
                   {"ulimit -f", Ulimit(RLIMIT_FSIZE, 1024)},
                   {"ulimit -n", Ulimit(RLIMIT_NOFILE, 1)},
                   {"ulimit -q", Ulimit(RLIMIT_MSGQUEUE, 1)},
                   {"ulimit -u", Ulimit(RLIMIT_NPROC, 1)},
                   {"ulimit -v", Ulimit(RLIMIT_AS, 1024)}};
  for (const Kind& kind : Kinds()) {
    if (Exists(fmt::format("{}/proc/self/ns/{}", root, kind.proc_name))) {
      machine.kinds |= kind.flag;
    }
    const std::string most =
        read(fmt::format("/proc/sys/user/max_{}_namespaces", kind.proc_name));
    if (!most.empty()) machine.most[kind.flag] = std::stoull(most);
  }

  const auto add_if = [&machine](bool so, Trait trait) {
    if (so) machine.traits |= trait;
  };
  add_if(uid == 0, kUidZero);
  add_if(has(CAP_SYS_ADMIN), kPrivileged);
  add_if(uid == 0 && !has(CAP_SETFCAP), kNoSetfcap);
  add_if((prctl(PR_GET_SECUREBITS) & SECBIT_NOROOT) != 0, kNoroot);
  add_if(uid != real_uid, kTwoUids);
  add_if(!IsMapped(uid, read("/proc/self/uid_map")), kUnmapped);
  add_if(field("NoNewPrivs") == "1", kNoNewPrivs);
  add_if(field("Seccomp") == "2", kFiltered);
  add_if(!profile.empty() && profile != "unconfined", kConfined);
  add_if(machine.facts["ulimit -v"] != "unlimited", kLittleMemory);

  add_if(Exists(root + "/run/.containerenv") ||
             Exists(root + "/run/systemd/container") ||
             IsMounted(mounts, "/etc/hostname"),
         kInContainer);
  add_if(!mounts.empty() && !IsMounted(mounts, "/"), kBareRoot);
  add_if(machine.Is(kBareRoot) || IsBelowRoot(root + "/proc", mounts.size()),
         kInChroot);
  add_if(std::ranges::any_of(mounts, MasksProc), kMaskedProc);

  add_if(read("/proc/sys/kernel/unprivileged_userns_clone") == "0",
         kNoUserClone);
  add_if(read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
         kRestricted);
  add_if(read("/sys/fs/selinux/enforce") == "1", kSelinux);
  // The same in each of its versions.
  add_if(read("/proc/version").ends_with("#1 SMP Sun Jan 10 15:06:54 PST 2016"),
         kGvisor);
  // Not /proc/self/cmdline, which qemu-user fakes.
  const fs::path program = read("/proc/thread-self/cmdline").c_str();
  add_if(program.filename().native().starts_with("qemu-"), kEmulated);
  return machine;
}

}  // namespace steps
