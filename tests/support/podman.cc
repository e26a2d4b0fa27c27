#include "tests/support/podman.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

void Mount(const char* type, const char* point) {
  Check(mount("none", point, type, 0, nullptr), "mount(\"{}\", \"{}\")", type,
        point);
}

}  // namespace

std::string WhyNoPodman() {
  if (!IsRoot()) return "only root can be root";
  for (const char* tool : {"podman", "crun", "runc"}) {
    if (IsMissing(RunTool({tool, "--version"}))) {
      return std::string(tool) + " is not installed";
    }
  }
  return "";
}

Process StartForPodman() {
  return Process::Quiet().Clone(
      "podman", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS);
}

Podman::Podman(std::string cgroup_parent)
    : cgroup_parent_(std::move(cgroup_parent)) {
  Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
        "mount(MS_PRIVATE)");
  Mount("proc", "/proc");
  if (cgroup_parent_.empty()) {
    // With crun it refuses to begin where version 1 has the controllers.
    Check(umount2("/sys/fs/cgroup", MNT_DETACH), "umount2(\"/sys/fs/cgroup\")");
    Mount("cgroup2", "/sys/fs/cgroup");
  }
  for (const char* folder : {"/run", "/dev/shm", "/mnt"}) {
    Mount("tmpfs", folder);
  }
  for (const char* folder :
       {"dev", "etc", "lessons", "mnt", "proc", "run", "sys", "tmp", "usr"}) {
    fs::create_directories(std::string("/mnt/rootfs/") + folder);
  }
  for (const auto& entry : fs::directory_iterator("/")) {
    if (!entry.is_symlink()) continue;  // Such as /bin, which leads to usr/bin.
    fs::copy_symlink(entry, "/mnt/rootfs" + entry.path().string());
  }
}

Result Podman::Run(const std::vector<std::string>& options,
                   const std::vector<std::string>& command) const {
  const bool has_cgroup = !cgroup_parent_.empty();
  std::vector<std::string> argv = {
      "podman",
      "--root=/mnt/root",
      "--runroot=/mnt/run",
      "--tmpdir=/mnt/tmp",
      has_cgroup ? "--runtime=runc" : "--runtime=crun",
      "--cgroup-manager=cgroupfs",
      "--storage-driver=vfs",
      "--events-backend=none",
      "run",
      has_cgroup ? "--cgroup-parent=" + cgroup_parent_ : "--cgroups=disabled",
      "--log-driver=none",
      "--network=none",
      "--ulimit=host",
      "--volume=/usr:/usr:ro"};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.insert(argv.end(), {"--rootfs", "/mnt/rootfs"});
  argv.insert(argv.end(), command.begin(), command.end());
  return RunCommand({.function = [&] {
    return execvp("podman", ExecArguments(argv).data());
  }});
}

}  // namespace steps
