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
#include <optional>
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

// What a file holds, or nothing where it cannot be read.
std::string Contents(const std::string& path) {
  try {
    return ReadText(path);
  } catch (const CallError&) {
    return "";
  }
}

// Whether it is there, and can be seen.
bool Exists(const fs::path& path) {
  std::error_code refused;
  return fs::exists(path, refused);
}

// Of a /proc/PID/status.
std::string FieldOf(const std::string& status, const std::string& name) {
  const std::size_t at = status.find("\n" + name + ":\t");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 3;
  return status.substr(begin, status.find('\n', begin) - begin);
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
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
std::optional<std::uint64_t> PidsMax(const std::string& root) {
  std::optional<std::uint64_t> lowest;
  try {
    const auto place = FindCgroupPlace("pids", root);
    if (!place) return lowest;
    std::string text;
    for (fs::path cgroup = place->home;
         !(text = Contents(cgroup / "pids.max")).empty();
         cgroup = cgroup.parent_path()) {
      if (text == "max") continue;
      lowest = std::min<std::uint64_t>(lowest.value_or(UINT64_MAX),
                                       std::stoull(text));
    }
  } catch (const CallError&) {
    // It is not known.
  }
  return lowest;
}

std::map<std::string, std::uint64_t> LimitsOf(const std::string& root) {
  std::map<std::string, std::uint64_t> limits;
  for (const Kind& kind : Kinds()) {
    const std::string number =
        Contents(fmt::format("{}/proc/sys/user/{}", root, LimitOf(kind)));
    if (!number.empty()) limits[LimitOf(kind)] = std::stoull(number);
  }
  const auto add = [&limits](const char* name, auto resource, unsigned unit) {
    rlimit limit = {};
    getrlimit(resource, &limit);
    if (limit.rlim_cur != RLIM_INFINITY) limits[name] = limit.rlim_cur / unit;
  };
  add("ulimit -f", RLIMIT_FSIZE, 1024);
  add("ulimit -n", RLIMIT_NOFILE, 1);
  add("ulimit -q", RLIMIT_MSGQUEUE, 1);
  add("ulimit -u", RLIMIT_NPROC, 1);
  add("ulimit -v", RLIMIT_AS, 1024);
  if (const auto pids = PidsMax(root)) limits["pids.max"] = *pids;
  return limits;
}

}  // namespace

std::string LimitOf(const Kind& kind) {
  return fmt::format("max_{}_namespaces", kind.proc_name);
}

Machine Machine::Look(const std::string& root) {
  const std::string proc = root + "/proc";
  const std::string status = Contents(proc + "/self/status");
  const std::uint64_t capabilities =
      std::strtoull(FieldOf(status, "CapEff").c_str(), nullptr, 16);
  const auto has = [capabilities](int capability) {
    return (capabilities >> capability & 1) != 0;
  };
  const std::vector<Mount> mounts =
      MountsIn(Contents(proc + "/self/mountinfo"));
  const std::string profile = Contents(proc + "/self/attr/apparmor/current");

  Machine machine;
  const auto add_if = [&machine](bool so, Trait trait) {
    if (so) machine.traits |= trait;
  };
  const auto reads = [&root](const char* path, const char* text) {
    return Has(Contents(root + path), text);
  };
  std::istringstream(FieldOf(status, "Uid")) >> machine.real_uid >> machine.uid;
  if (profile != "unconfined") {
    machine.apparmor = profile.substr(0, profile.find(' '));
  }
  machine.limits = LimitsOf(root);

  add_if(has(CAP_SYS_ADMIN), kPrivileged);
  add_if(machine.uid == 0 && !has(CAP_SETFCAP), kNoSetfcap);
  add_if((prctl(PR_GET_SECUREBITS) & SECBIT_NOROOT) != 0, kNoroot);
  add_if(machine.uid != machine.real_uid, kTwoUids);
  add_if(!IsMapped(machine.uid, Contents(proc + "/self/uid_map")), kUnmapped);
  add_if(FieldOf(status, "NoNewPrivs") == "1", kNoNewPrivs);
  add_if(FieldOf(status, "Seccomp") == "2", kFiltered);
  add_if(!machine.apparmor.empty(), kConfined);
  add_if(machine.limits.contains("ulimit -v"), kLittleMemory);

  add_if(Exists(root + "/run/.containerenv") ||
             Exists(root + "/run/systemd/container") ||
             IsMounted(mounts, "/etc/hostname"),
         kInContainer);
  add_if(!mounts.empty() && !IsMounted(mounts, "/"), kBareRoot);
  add_if(machine.Is(kBareRoot) || IsBelowRoot(proc, mounts.size()), kInChroot);
  add_if(std::ranges::any_of(mounts, MasksProc), kMaskedProc);

  add_if(reads("/proc/sys/kernel/unprivileged_userns_clone", "0"),
         kNoUserClone);
  add_if(reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
         kRestricted);
  add_if(reads("/sys/fs/selinux/enforce", "1"), kSelinux);
  // The same in each of its versions.
  add_if(reads("/proc/version", "#1 SMP Sun Jan 10 15:06:54 PST 2016"),
         kGvisor);
  // Not /proc/self/cmdline, which qemu-user fakes.
  const fs::path program = Contents(proc + "/thread-self/cmdline").c_str();
  add_if(program.filename().native().starts_with("qemu-"), kEmulated);
  for (const Kind& kind : Kinds()) {
    if (Exists(fmt::format("{}/self/ns/{}", proc, kind.proc_name))) {
      machine.kinds.insert(std::string(kind.name));
    }
  }
  return machine;
}

}  // namespace steps
