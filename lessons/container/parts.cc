// The parts of a container, as a table.

#include "lessons/container/parts.h"

#include <fmt/format.h>
#include <sched.h>

#include <sstream>

#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/kernel/probe.h"
#include "lessons/container/filter.h"
#include "lessons/container/limits.h"
#include "lessons/container/privileges.h"
#include "lessons/container/root.h"

namespace steps {
namespace {

// The interfaces: "eth0 up, lo up".
std::string States() {
  std::string all;
  for (const auto& [name, state] : Interfaces()) {
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, state);
  }
  return all;
}

}  // namespace

int ContainerFlags() {
  return KnownFlags() & ~(CLONE_NEWUSER | CLONE_NEWCGROUP);
}

Table Parts(Process& inside, const char* image, const std::string& limits,
            int processes) {
  const int different = Difference(inside.pid());
  const auto is = [different](int flag) {
    return (different & flag) != 0 ? "private" : "the machine's";
  };
  unsigned root = 0;
  unsigned uid = 0;
  std::istringstream(ReadFile(ProcPath(inside.pid(), "uid_map"))) >> root >>
      uid;
  const std::string hostname =
      inside.Run([] { return std::string(Uname().nodename); });
  return {
      {"part", "here", "lesson", "docker run"},
      {{"hostname", hostname, "uts", fmt::format("--hostname {}", kName)},
       {"processes", is(CLONE_NEWPID), "pid", "(default; not --pid host)"},
       {"IPC", is(CLONE_NEWIPC), "ipc", "--ipc private"},
       {"mounts", is(CLONE_NEWNS), "mount", "--tmpfs, --volume"},
       {"root", inside.Run([image] { return Programs(image); }), "chroot",
        "IMAGE"},
       {"user", fmt::format("{} is {} outside", root, uid), "user",
        "(rootless mode)"},
       {"capabilities", inside.Run([] { return CountOf(BoundingSet()); }),
        "user", "--cap-add, --cap-drop"},
       {"gains more", inside.Run(NoNewPrivileges), "user",
        "--security-opt no-new-privileges"},
       {"system calls",
        inside.Run([] { return std::string(DescribeFilter()); }), "(this)",
        "--security-opt seccomp"},
       {"network", inside.Run(States), "net", "--network"},
       {"limits", limits, "cgroup",
        fmt::format("--pids-limit {} --memory {}m", processes, kMemory)},
       {"cgroup root", is(CLONE_NEWCGROUP), "cgroup", "--cgroupns private"},
       {"clocks", is(CLONE_NEWTIME), "time", "(default since Docker 29.5)"},
       {"init", "reaps orphans", "pid", "--init"}}};
}

}  // namespace steps
