#include "common/kernel/namespaces.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "common/kernel/call.h"

namespace steps {
namespace {

constexpr std::array<Kind, 8> kKinds = {{
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

}  // namespace

const std::array<Kind, 8>& Kinds() { return kKinds; }

int AllFlags() {
  int flags = 0;
  for (const Kind& kind : kKinds) flags |= kind.flag;
  return flags;
}

const Kind& KindOf(int flag) {
  for (const Kind& kind : kKinds) {
    if (kind.flag == flag) return kind;
  }
  throw std::out_of_range(fmt::format("no namespace has the flag {:#x}", flag));
}

std::string LinkOf(pid_t pid, const Kind& kind) {
  return fmt::format("/proc/{}/ns/{}", pid, kind.proc_name);
}

NamespaceId NamespaceOf(pid_t pid, const Kind& kind) {
  struct stat status = {};
  MUST(stat, LinkOf(pid, kind).c_str(), &status);
  return {status.st_dev, status.st_ino};
}

std::map<int, NamespaceId> NamespacesOf(pid_t pid) {
  const std::string directory = fmt::format("/proc/{}/ns", pid);
  MUST(access, directory.c_str(), F_OK);
  std::map<int, NamespaceId> ids;
  for (const Kind& kind : kKinds) {
    try {
      ids[kind.flag] = NamespaceOf(pid, kind);
    } catch (const CallError& error) {
      if (error.error() != ENOENT) throw;
    }
  }
  return ids;
}

int Difference(const std::map<int, NamespaceId>& one,
               const std::map<int, NamespaceId>& other) {
  int flags = 0;
  for (const auto& [flag, id] : one) {
    const auto found = other.find(flag);
    if (found == other.end()) {
      throw std::out_of_range(fmt::format(
          "a process that has ended is in no {} namespace", KindOf(flag).name));
    }
    if (found->second != id) flags |= flag;
  }
  return flags;
}

int Agreement(const std::map<int, NamespaceId>& one,
              const std::map<int, NamespaceId>& other) {
  int flags = 0;
  for (const auto& [flag, id] : one) flags |= flag;
  return flags & ~Difference(one, other);
}

std::string KindNames(int flags) {
  std::vector<std::string_view> names;
  for (const Kind& kind : kKinds) {
    if ((flags & kind.flag) != 0) names.push_back(kind.name);
  }
  return names.empty() ? "(none)" : fmt::format("{}", fmt::join(names, " "));
}

std::string CloneFlags(int flags) {
  std::string text;
  const auto add = [&text](std::string_view name) {
    if (!text.empty()) text += " | ";
    text += name;
  };
  // CLONE_NEWTIME is one of the bits of the signal that the child sends when it
  // ends: beside others, clone(2) knows it as nothing else.
  const int signal = (flags & CSIGNAL) == CLONE_NEWTIME ? 0 : flags & CSIGNAL;
  flags &= ~signal;
  for (const Kind& kind : kKinds) {
    if ((flags & kind.flag) != 0) add(kind.flag_name);
    flags &= ~kind.flag;
  }
  if ((flags & CLONE_FS) != 0) add("CLONE_FS");
  if ((flags & CLONE_SYSVSEM) != 0) add("CLONE_SYSVSEM");
  flags &= ~(CLONE_FS | CLONE_SYSVSEM);
  if (signal != 0) {
    const char* name = sigabbrev_np(signal);
    add(name == nullptr ? fmt::to_string(signal) : fmt::format("SIG{}", name));
  }
  if (flags != 0 || text.empty()) add(fmt::format("{:#x}", flags));
  return text;
}

}  // namespace steps
