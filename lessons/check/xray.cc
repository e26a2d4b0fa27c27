// What a program has isolated, by the kernel's evidence.

#include "lessons/check/xray.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <sstream>
#include <tuple>

#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

// Words with one blank between them, lines with a comma.
std::string OneLine(const std::string& text) {
  std::istringstream lines(text);
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string separator = all.empty() ? "" : ", ";
    for (std::string word; words >> word; separator = " ") {
      all += separator + word;
    }
  }
  return all;
}

std::string CountBits(const std::string& hexadecimal) {
  const int all = std::stoi(ReadText("/proc/sys/kernel/cap_last_cap")) + 1;
  return fmt::format(
      "{} of {}", std::popcount(std::stoull(hexadecimal, nullptr, 16)), all);
}

// A map as the host reads it, whose only ID is `host_id`: this process has
// another number for that. user_namespaces(7).
std::string MapOf(const std::string& path, unsigned host_id) {
  std::istringstream words(ReadFile(path));
  unsigned long inside = 0;
  if (!(words >> inside)) return "";
  return fmt::format("{} {} 1", inside, host_id);
}

// From outside.
Inside Examine(pid_t pid, const std::map<int, NamespaceId>& host,
               unsigned host_id) {
  const std::string proc = fmt::format("/proc/{}/", pid);
  const auto status = [&proc](const char* field) {
    return ReadField(proc + "status", field);
  };
  Inside inside;
  inside.pid = pid;
  inside.host_pid = Host::PidOf(pid);
  const std::string pids = status("NSpid");
  inside.own_pid = std::stoi(pids.substr(pids.rfind(' ') + 1));
  inside.name = ReadText(proc + "comm");
  inside.namespaces = NamespacesOf(pid);
  inside.isolated = Difference(host, inside.namespaces);
  inside.uid_map = MapOf(proc + "uid_map", host_id);
  inside.gid_map = MapOf(proc + "gid_map", host_id);
  inside.capabilities = CountBits(status("CapEff"));
  inside.cgroup = CgroupsOf(pid)[""];  // Of version 2.
  if (inside.namespaces.contains(CLONE_NEWTIME)) {
    inside.offsets = OneLine(ReadFile(proc + "timens_offsets"));
  }
  inside.no_new_privs = status("NoNewPrivs");
  inside.seccomp = status("Seccomp");
  inside.mounts = MountsIn(ReadFile(proc + "mountinfo"));
  return inside;
}

// It has called unshare(CLONE_NEWPID), or joined, and no child came since.
bool WaitsForFirstChild(pid_t pid) {
  std::array<char, 64> link = {};
  return readlink(ProcPath(pid, "ns/pid_for_children").c_str(), link.data(),
                  link.size()) == -1 &&
         errno == ENOENT;
}

// The process that is isolated most; of several, one that reads, the
// oldest.
std::optional<std::size_t> FindInside(const XRay& xray) {
  std::optional<std::size_t> best;
  const auto rank = [&xray](const Inside& inside) {
    const Task& task = xray.observation.tasks.at(inside.pid);
    return std::tuple(std::popcount(static_cast<unsigned>(inside.isolated)),
                      task.reads);
  };
  for (std::size_t i = 0; i < xray.processes.size(); ++i) {
    if (!best || rank(xray.processes[i]) > rank(xray.processes[*best])) {
      best = i;
    }
  }
  return best;
}

}  // namespace

const Mount* MountAt(const std::vector<Mount>& mounts,
                     const std::string& point) {
  const Mount* found = nullptr;
  for (const Mount& mount : mounts) {
    if (mount.point == point) found = &mount;
  }
  return found;
}

std::string Propagation(const Mount& mount) {
  const bool shared = mount.tags.find("shared:") != std::string::npos;
  const bool slave = mount.tags.find("master:") != std::string::npos;
  if (shared) return slave ? "shared and slave" : "shared";
  return slave ? "slave" : "private";
}

std::vector<std::string> XRay::New(const std::vector<Mount>& mounts,
                                   const std::vector<Mount>& others) {
  const auto same = [](const Mount& one, const Mount& other) {
    return one.device == other.device && one.root == other.root &&
           one.point == other.point;
  };
  std::vector<std::string> all;
  for (const Mount& mount : mounts) {
    if (std::ranges::none_of(
            others, [&](const Mount& other) { return same(mount, other); })) {
      all.push_back(fmt::format("{} on {}", mount.type, mount.point));
    }
  }
  return all;
}

XRay TakeXRay(const Order& order) {
  XRay xray;
  Host host(order);
  xray.compile_error = host.Compile();
  if (!xray.compile_error.empty()) return xray;
  xray.before = host.Look();
  host.Start();
  xray.observation = Observe(host);
  // What is wild is not looked at.
  const bool calm = xray.observation.moment == Moment::kAtRest ||
                    xray.observation.moment == Moment::kTooLong;
  for (const auto& [pid, task] : xray.observation.tasks) {
    if (!calm) break;
    try {
      if (task.state == 'Z') {
        const Task& parent = xray.observation.tasks.at(task.parent);
        xray.zombies.push_back(
            fmt::format("{} ({}), a child of {} ({})", Host::PidOf(pid),
                        task.name, Host::PidOf(task.parent), parent.name));
        continue;
      }
      Inside inside =
          Examine(pid, host.namespaces(), order.as_user ? 1000 : 0);
      if (WaitsForFirstChild(pid)) xray.without_child.push_back(pid);
      inside.view = host.LookFrom(pid);
      xray.processes.push_back(std::move(inside));
    } catch (const std::exception&) {  // It has ended since.
    }
  }
  std::ranges::sort(xray.processes, {}, &Inside::host_pid);
  xray.inside = FindInside(xray);
  xray.parent_gone =
      xray.observation.status.has_value() && !xray.processes.empty();
  if (host.target()) {
    xray.target = NamespacesOf(*host.target()).at(CLONE_NEWUTS);
  }
  xray.after = host.Look();
  return xray;
}

}  // namespace steps
