#include "tests/support/refusals.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"

namespace steps {
namespace fs = std::filesystem;
namespace {

void EnterPrivateMounts() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MakeMountsPrivate();
}

}  // namespace

void ForbidNamespaces(int flags) {
  EnterUserNamespaceAsRoot();
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) == 0) continue;
    const std::string limit =
        fmt::format("/proc/sys/user/max_{}_namespaces", kind.proc_name);
    WriteAll(Open(limit, O_WRONLY).get(), "0");
  }
}

void GiveUpCapabilities() { MUST(prctl, PR_SET_SECUREBITS, SECBIT_NOROOT); }

void DropCapabilities() {
  for (const unsigned long capability :
       {CAP_NET_ADMIN, CAP_SYS_CHROOT, CAP_SYS_TIME}) {
    MUST(prctl, PR_CAPBSET_DROP, capability);
  }
}

void MaskProc() {
  EnterPrivateMounts();
  MountTmpfs("/proc/tty");
  EnterUserNamespaceAsRoot();
}

void CoverProc() {
  EnterPrivateMounts();
  Process other = Process::Quiet().Clone("other", CLONE_NEWPID);
  other.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
}

void EnterChroot(bool with_proc) {
  EnterPrivateMounts();
  MountTmpfs("/mnt");
  const std::string root = "/mnt/root";
  for (const auto& entry : fs::directory_iterator("/")) {
    const std::string from = entry.path();
    const std::string to = root + from;
    if (from == "/mnt" || (from == "/proc" && !with_proc)) continue;
    if (entry.is_symlink()) {
      fs::copy_symlink(from, to);
    } else if (entry.is_directory()) {
      fs::create_directories(to);
      MUST(mount, from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr);
    }
  }
  fs::create_directories(root + "/mnt");
  MUST(chroot, root.c_str());
  MUST(chdir, "/");
}

}  // namespace steps
