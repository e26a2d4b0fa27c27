#include "common/kernel/namespaces.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {

const std::array<Kind, 8>& Kinds() {
  static constexpr std::array<Kind, 8> kinds = {{
      {"mount", CLONE_NEWNS, "CLONE_NEWNS", "mnt", "mount points", "2.4.19",
       "mount_namespaces(7)"},
      {"uts", CLONE_NEWUTS, "CLONE_NEWUTS", "uts", "hostname, domain name",
       "2.6.19", "uts_namespaces(7)"},
      {"ipc", CLONE_NEWIPC, "CLONE_NEWIPC", "ipc", "System V IPC, mqueues",
       "2.6.30", "ipc_namespaces(7)"},
      {"pid", CLONE_NEWPID, "CLONE_NEWPID", "pid", "process IDs", "2.6.24",
       "pid_namespaces(7)"},
      {"net", CLONE_NEWNET, "CLONE_NEWNET", "net", "network devices, ports",
       "2.6.29", "network_namespaces(7)"},
      {"user", CLONE_NEWUSER, "CLONE_NEWUSER", "user", "user IDs, capabilities",
       "3.8", "user_namespaces(7)"},
      {"cgroup", CLONE_NEWCGROUP, "CLONE_NEWCGROUP", "cgroup",
       "cgroup root directory", "4.6", "cgroup_namespaces(7)"},
      {"time", CLONE_NEWTIME, "CLONE_NEWTIME", "time", "boot, monotonic clocks",
       "5.6", "time_namespaces(7)"},
  }};
  return kinds;
}

const Kind& KindOf(int flag) {
  for (const Kind& kind : Kinds()) {
    if (kind.flag == flag) return kind;
  }
  throw std::out_of_range(fmt::format("no namespace has the flag {:#x}", flag));
}

std::map<int, NamespaceId> NamespacesOf(pid_t pid) {
  MUST(access, ProcPath(pid, "ns").c_str(), F_OK);
  std::map<int, NamespaceId> ids;
  for (const Kind& kind : Kinds()) {
    const auto link = ProcPath(pid, fmt::format("ns/{}", kind.proc_name));
    struct stat status = {};
    try {
      MUST(stat, link.c_str(), &status);
      ids[kind.flag] = {status.st_dev, status.st_ino};
    } catch (const CallError& error) {
      if (error.error() != ENOENT) throw;
    }
  }
  return ids;
}

int KnownFlags() {
  int flags = 0;
  for (const auto& [flag, id] : NamespacesOf(getpid())) flags |= flag;
  return flags;
}

Evidence LinksOf(pid_t pid) {
  const auto namespaces = NamespacesOf(pid);
  Evidence links;
  for (const Kind& kind : Kinds()) {
    if (!namespaces.contains(kind.flag)) continue;
    const auto link = ProcPath(pid, fmt::format("ns/{}", kind.proc_name));
    links.findings.push_back({std::string(kind.name), ReadLink(link), link});
  }
  return links;
}

int Difference(const std::map<int, NamespaceId>& one,
               const std::map<int, NamespaceId>& other) {
  int flags = 0;
  for (const auto& [flag, id] : one) {
    if (!other.contains(flag)) {
      throw std::out_of_range("a process that has ended is in no namespace");
    }
    if (other.at(flag) != id) flags |= flag;
  }
  return flags;
}

int Difference(pid_t pid) {
  return Difference(NamespacesOf(getpid()), NamespacesOf(pid));
}

std::string KindNames(int flags) {
  std::vector<std::string_view> names;
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) != 0) names.push_back(kind.name);
  }
  return names.empty() ? "(none)" : fmt::format("{}", fmt::join(names, " "));
}

std::string CloneFlags(int flags) {
  std::string names;
  const auto take = [&](int flag, std::string_view name) {
    if ((flags & flag) != flag) return;
    names += fmt::format("{}{}", names.empty() ? "" : " | ", name);
    flags &= ~flag;
  };
  for (const Kind& kind : Kinds()) take(kind.flag, kind.flag_name);
  take(CLONE_FS, "CLONE_FS");
  take(CLONE_SYSVSEM, "CLONE_SYSVSEM");
  take(SIGCHLD, "SIGCHLD");
  if (flags != 0 || names.empty()) take(flags, fmt::format("{:#x}", flags));
  return names;
}

bool HasCapabilities(const std::vector<int>& capabilities) {
  const std::unique_ptr<void, int (*)(void*)> own(cap_get_proc(), cap_free);
  Check(own == nullptr ? -1 : 0, "cap_get_proc");
  return std::ranges::all_of(capabilities, [&](int capability) {
    cap_flag_value_t value = CAP_CLEAR;
    MUST(cap_get_flag, static_cast<cap_t>(own.get()), capability, CAP_EFFECTIVE,
         &value);
    return value == CAP_SET;
  });
}

void MapToRoot(uid_t uid, gid_t gid) {
  WriteFile("/proc/self/setgroups", "deny");
  WriteFile("/proc/self/gid_map", fmt::format("0 {} 1", gid));
  WriteFile("/proc/self/uid_map", fmt::format("0 {} 1", uid));
}

void EnterUserNamespaceAsRoot() {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  MUST(unshare, CLONE_NEWUSER);
  MapToRoot(uid, gid);
}

}  // namespace steps
